"""The noise of simulated fleets: 200 cases on a GPU whose noise has the sizes that public reports give.

Everything adds up in log time: the machine, the session's drift, a thermal walk within the session, what a
process launch does to a case, and noise of samples. The sizes stand in `Sizes` and were fixed before any rule
was tried; nothing here is a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.distributions import Array


@dataclass(frozen=True, slots=True)
class Sizes:
    """Relative sizes of every effect. Pairs are (compute, memory)."""

    cases: int = 200
    sample_median: float = 0.004
    process_median: float = 0.004
    scale: float = 1.0
    """Multiplies sample and process noise."""
    drift: tuple[float, float] = (0.012, 0.003)
    drift_memory: float = 0.7
    """AR(1) coefficient of the drift from session to session."""
    walk: tuple[float, float] = (0.002, 0.0007)
    """Step of the thermal walk from process to process."""
    anchor_noise: float = 0.001
    timing_offset: float = 0.0012
    """A case is not timed at the very moment its anchor is."""
    sensitivity: float = 0.15
    """Spread of how strongly a case follows its anchor."""
    bimodal_share: float = 0.02
    bimodal_odds: float = 0.3
    outlier_odds: float = 0.01
    outlier_mean: float = 0.20
    spoiled_odds: float = 0.005
    machines: int = 1
    machine: tuple[float, float] = (0.02, 0.006)
    machine_case: float = 0.003


@dataclass(frozen=True, slots=True)
class Session:
    """Where and when a run takes place."""

    shift: Array
    """Log effect on compute and memory [2]."""
    machine: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Log times [cases, processes, samples] and log anchors [processes, 2]."""

    log_times: Array
    anchors: Array


class World:
    """One population of cases on one machine or a pool of them."""

    def __init__(self, sizes: Sizes, random: np.random.Generator) -> None:
        self.sizes, self._random = sizes, random
        n = sizes.cases
        kind = random.permutation(np.repeat([0, 1, 2], [2 * n // 5, 2 * n // 5, n - 4 * n // 5]))
        self.mix = np.array([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5]])[kind]
        self._follows = self.mix * np.clip(random.normal(1, sizes.sensitivity, (n, 1)), 0.5, 1.5)
        self._sample = self._spread(sizes.sample_median, 0.7, (0.001, 0.03))
        self._process = self._spread(sizes.process_median, 0.6, (0.001, 0.02))
        self._second_mode = np.zeros(n)
        chosen = random.choice(n, round(n * sizes.bimodal_share), replace=False)
        self._second_mode[chosen] = random.uniform(0.03, 0.12, len(chosen))
        pool = sizes.machines > 1
        self._machines = random.normal(0, 1, (sizes.machines, 2)) * sizes.machine * pool
        self._machine_cases = random.normal(0, sizes.machine_case, (sizes.machines, n)) * pool
        self._drift = random.normal(0, 1, 2) * sizes.drift

    def session(self) -> Session:
        """The next session: the drift has moved on, and the machine is drawn from the pool."""
        keep = self.sizes.drift_memory
        shock = self._random.normal(0, 1, 2) * self.sizes.drift
        self._drift = keep * self._drift + np.sqrt(1 - keep**2) * shock
        machine = int(self._random.integers(self.sizes.machines))
        return Session(self._drift + self._machines[machine], machine)

    def walk(self, processes: int) -> Array:
        """A thermal walk [processes, 2]."""
        steps = self._random.normal(0, 1, (processes, 2)) * self.sizes.walk
        return np.asarray(np.cumsum(steps, axis=0))

    def measure(
        self,
        session: Session,
        walk: Array,
        samples: int,
        slowdown: Array | None = None,
        cases: NDArray[np.intp] | None = None,
    ) -> Batch:
        """One fresh process a step of the walk, `samples` samples a case; `slowdown` is relative, by case."""
        sizes, random = self.sizes, self._random
        index = np.arange(sizes.cases) if cases is None else cases
        shape = (len(index), len(walk))
        common = session.shift + walk
        level = self._machine_cases[session.machine, index][:, None] + self._follows[index] @ common.T
        level = level + random.normal(0, 1, shape) * self._process[index, None]
        level += self._second_mode[index, None] * (random.random(shape) < sizes.bimodal_odds)
        level += random.uniform(0.02, 0.15, shape) * (random.random(shape) < sizes.spoiled_odds)
        level += random.normal(0, sizes.timing_offset, shape)
        if slowdown is not None:
            level += np.log1p(slowdown[index])[:, None]
        noise = random.normal(0, 1, (*shape, samples)) * self._sample[index, None, None]
        outliers = random.random(noise.shape) < sizes.outlier_odds
        noise += outliers * random.exponential(sizes.outlier_mean, noise.shape)
        anchors = common + random.normal(0, sizes.anchor_noise, common.shape)
        return Batch(level[..., None] + noise, anchors)

    def _spread(self, median: float, sigma: float, limits: tuple[float, float]) -> Array:
        drawn = np.exp(self._random.normal(np.log(median), sigma, self.sizes.cases))
        return np.clip(drawn, *limits) * self.sizes.scale
