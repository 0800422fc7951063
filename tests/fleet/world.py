"""A simulated fleet with planted defects, in simulated noise. Nothing is measured.

Healthy GPUs spread by 2 % in compute and 0.6 % in memory bandwidth, and each case by 0.3 % more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.analysis.processes import low_process
from tests.fleet.noise import Session, Sizes, World

SESSION_DRIFT = (0.004, 0.001)
"""What a session adds to a GPU (compute, memory): the room's temperature, the neighbors' power."""
PLANTED = {"compute": 4, "memory": 4, "cases": 4, "throttling": 4, "pcie": 4, "ecc": 1}
PREFLIGHT = ("pcie", "ecc")
THROTTLED_PROCESSES, THROTTLED_BY, SEEN = 0.6, 0.12, 0.5
"""A throttling GPU does so in 6 of 10 processes, is then 12 % slower, and half of its lines show it."""
STRAY = 0.01
"""Share of healthy GPUs that show a single line with a slowdown reason."""


Silicon = Callable[[np.random.Generator, tuple[int, int]], Array]


@dataclass
class SimulatedFleet:
    """`kind` of every GPU, `slowdown` [gpus, cases] relative, and what NVML would have told. `silicon` draws
    how much slower each GPU is than usual, in spreads; `planted` counts defects by kind."""

    gpus: int
    random: np.random.Generator
    silicon: Silicon | None = None
    planted: dict[str, int] = field(default_factory=lambda: dict(PLANTED))
    cases_each: int = 200
    kind: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        sizes = Sizes(cases=self.cases_each, machines=self.gpus, drift=SESSION_DRIFT)
        self.world = World(sizes, self.random)
        if self.silicon is not None:
            self.world._machines = self.silicon(self.random, (self.gpus, 2)) * sizes.machine
        self.kind = ["healthy"] * self.gpus
        chosen = iter(self.random.choice(self.gpus, sum(self.planted.values()), replace=False))
        self.slowdown = np.zeros((self.gpus, self.cases))
        for kind, count in self.planted.items():
            for _ in range(count):
                self._plant(int(next(chosen)), kind)
        stray = self.random.random(self.gpus) < STRAY
        self.fault_share = np.where(stray, 1 / self.cases, 0.0)
        throttling = self.of("throttling")
        self.fault_share[throttling] = self.random.binomial(
            self.cases, THROTTLED_PROCESSES * SEEN, len(throttling)
        ) / self.cases  # fmt: skip

    @property
    def cases(self) -> int:
        """Cases a GPU."""
        return self.world.sizes.cases

    @property
    def class_weights(self) -> Array:
        """What bounds every case [cases, (memory, compute)]."""
        return np.asarray(self.world.mix[:, ::-1])

    def of(self, kind: str) -> list[int]:
        """The GPUs of a kind."""
        return [gpu for gpu, what in enumerate(self.kind) if what == kind]

    def sweep(self, gpus: list[int] | None = None, processes: int = 5, *, sound: bool = False) -> Array:
        """Log times [gpus, cases] of some GPUs in a session of their own; `sound` is before the defects."""
        return np.array([self._times(g, processes, sound) for g in (gpus or range(self.gpus))])

    def _times(self, gpu: int, processes: int, sound: bool) -> Array:
        drift = self.random.normal(0, 1, 2) * SESSION_DRIFT
        session = Session(drift + self.world._machines[gpu], gpu)
        slowdown = None if sound else self.slowdown[gpu]
        batch = self.world.measure(session, self.world.walk(processes), 6, slowdown)
        medians = np.median(batch.log_times, axis=2)
        if self.kind[gpu] == "throttling" and not sound:
            hot = self.random.random(processes) < THROTTLED_PROCESSES
            medians = medians + self.world.mix[:, :1] * (hot * np.log1p(THROTTLED_BY))
        return np.asarray(low_process(medians))

    def _plant(self, gpu: int, kind: str) -> None:
        self.kind[gpu] = kind
        by = {"compute": 1 / 0.92 - 1, "memory": 1 / 0.95 - 1, "cases": 1 / 0.92 - 1}.get(kind, 0.0)
        if kind == "compute":
            self.slowdown[gpu] = np.expm1(np.log1p(by) * self.world.mix[:, 0])
        elif kind == "memory":
            self.slowdown[gpu] = np.expm1(np.log1p(by) * self.world.mix[:, 1])
        elif kind == "cases":
            self.slowdown[gpu, self.random.choice(self.cases, 10, replace=False)] = by
