"""Worlds to try gates in: 200 cases on a GPU whose noise has the sizes that public reports give.

Everything adds up in log time: the machine, its drift from day to day, a slow walk of every case, a thermal
walk within the session, what a process launch does to all cases and to one, clock states, and noise of
samples. The sizes stand in `Sizes` and were fixed before any gate was tried; nothing here is a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.distributions import Array

Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Sizes:
    """Relative sizes of every effect. Pairs are (compute, memory)."""

    cases: int = 200
    sample_median: float = 0.004
    process_median: float = 0.0025
    """Of a launch, by Student's t with 3 degrees of freedom: its standard deviation is 1.7 times this."""
    scale: float = 1.0
    """Multiplies sample and process noise."""
    drift: tuple[float, float] = (0.012, 0.003)
    drift_memory: float = 0.7
    """AR(1) coefficient of the drift from day to day."""
    case_walk: float = 0.0005
    """Step of every case from day to day, which no anchor sees."""
    walk: tuple[float, float] = (0.002, 0.0007)
    """Step of the thermal walk from process to process."""
    launch: float = 0.003
    """Common to all cases of a process; the anchors see 70 % of it."""
    anchor_noise: float = 0.001
    sensitivity: float = 0.15
    """Spread of how strongly a case follows its anchor."""
    clock_share: float = 0.03
    """Cases with two clock states, 2.5 % apart."""
    clock_odds: float = 0.35
    clock_lasts: int = 1
    """Mean number of processes that a clock state lasts."""
    outlier_odds: float = 0.02
    outlier_mean: float = 0.20
    spoiled_odds: float = 0.005
    machines: int = 1
    machine: float = 0.01
    machine_case: float = 0.003


WORLDS: dict[str, Sizes] = {
    "plain": Sizes(),
    "pool": Sizes(machines=8),
    "noisy": Sizes(scale=2),
    "sticky": Sizes(clock_lasts=8),
    "strong": Sizes(case_walk=0.0015),
}
_ANCHORS_SEE, _CLOCK_STEP = 0.7, 0.025


@dataclass(frozen=True, slots=True)
class Batch:
    """Log times [cases, processes, samples] and log anchors [processes, 2]."""

    log_times: Array
    anchors: Array


class World:
    """One population of cases on one machine or a pool of them; `next_day` moves it on."""

    def __init__(self, sizes: Sizes, random: np.random.Generator) -> None:
        self.sizes, self.random = sizes, random
        n = sizes.cases
        kind = random.permutation(np.repeat([0, 1, 2], [2 * n // 5, 2 * n // 5, n - 4 * n // 5]))
        self.mix = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])[kind]
        self.log_ns = random.uniform(np.log(13e3), np.log(2e6), n)
        self._follows = self.mix * np.clip(random.normal(1, sizes.sensitivity, (n, 1)), 0.5, 1.5)
        self._sample = self._spread(sizes.sample_median, 0.7, (0.001, 0.03))
        self._process = self._spread(sizes.process_median, 0.6, (0.001, 0.02))
        self._two_clocks = np.zeros(n, dtype=bool)
        self._two_clocks[random.choice(n, round(n * sizes.clock_share), replace=False)] = True
        self._slow_clock = random.random(n) < sizes.clock_odds
        pool = sizes.machines > 1
        self._machines = random.normal(0, 1, (sizes.machines, 1)) * sizes.machine * pool
        self._machine_cases = random.normal(0, sizes.machine_case, (sizes.machines, n)) * pool
        self._drift = random.normal(0, 1, 2) * sizes.drift
        self._case = np.zeros(n)
        self._machine, self._heat = 0, np.zeros(2)

    def next_day(self) -> None:
        """Drift and cases have moved on, and the machine is drawn from the pool."""
        keep = self.sizes.drift_memory
        shock = self.random.normal(0, 1, 2) * self.sizes.drift
        self._drift = keep * self._drift + np.sqrt(1 - keep**2) * shock
        self._case = self._case + self.random.normal(0, self.sizes.case_walk, self.sizes.cases)
        self._machine = int(self.random.integers(self.sizes.machines))
        self._heat = np.zeros(2)

    def measure(
        self,
        processes: int,
        samples: int,
        slowdown: Array | None = None,
        cases: NDArray[np.intp] | None = None,
        changed: Flags | None = None,
    ) -> Batch:
        """Fresh processes, one after the other; `slowdown` is relative, by case, in `changed` ones."""
        sizes, random = self.sizes, self.random
        index = np.arange(sizes.cases) if cases is None else cases
        shape = (len(index), processes)
        heat = self._heat + np.cumsum(random.normal(0, 1, (processes, 2)) * sizes.walk, axis=0)
        self._heat = heat[-1]
        launch = random.normal(0, sizes.launch, (processes, 1))
        common = self._drift + self._machines[self._machine] + heat
        level = self._follows[index] @ (common + launch).T
        level += (self.log_ns + self._case + self._machine_cases[self._machine])[index, None]
        level += random.standard_t(3, shape) * self._process[index, None]
        level += _CLOCK_STEP * self._clocks(processes)[index]
        level += random.uniform(0.02, 0.15, shape) * (random.random(shape) < sizes.spoiled_odds)
        if slowdown is not None:
            slowed = np.log1p(slowdown[index])[:, None]
            level += slowed if changed is None else slowed * changed
        noise = random.standard_normal((*shape, samples)) * self._sample[index, None, None]
        outliers = random.random(noise.shape) < sizes.outlier_odds
        noise[outliers] += random.exponential(sizes.outlier_mean, int(outliers.sum()))
        anchors = common + _ANCHORS_SEE * launch + random.normal(0, sizes.anchor_noise, common.shape)
        return Batch(level[..., None] + noise, anchors)

    def _clocks(self, processes: int) -> Flags:
        """Which cases [cases, processes] are in their slow clock state; states last over processes."""
        states = np.empty((self.sizes.cases, processes), dtype=bool)
        for process in range(processes):
            redrawn = self.random.random(self.sizes.cases) < 1 / self.sizes.clock_lasts
            drawn = self.random.random(self.sizes.cases) < self.sizes.clock_odds
            self._slow_clock = np.where(redrawn, drawn, self._slow_clock) & self._two_clocks
            states[:, process] = self._slow_clock
        return states

    def _spread(self, median: float, sigma: float, limits: tuple[float, float]) -> Array:
        drawn = np.exp(self.random.normal(np.log(median), sigma, self.sizes.cases))
        return np.clip(drawn, *limits) * self.sizes.scale
