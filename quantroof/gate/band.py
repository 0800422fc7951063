"""The band of a case: the range of its time while the code is unchanged, learned from runs of such code.

Everything is in log time, so a spread of 0.01 is one percent. Process launches, not samples, are the unit of
replication: all samples of a process share the effects of its launch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantroof.analysis.distributions import Array, t_quantile
from quantroof.analysis.spread import PRIOR_FREEDOM, TINY, moderated_spreads

_SCREEN_P, _POWER_P = 0.01, 0.20
CONFIRM_MARGIN = 0.005


@dataclass(frozen=True, slots=True)
class Bands:
    """Arrays over cases. `scale` is the spread of a run's statistic between runs, moderated; `process` the
    spread of process medians within a run; `runs` the number of runs they were learned from."""

    center: Array
    scale: Array
    process: Array
    runs: int

    @property
    def freedom(self) -> int:
        """Degrees of freedom of `scale`: its own and those of the prior."""
        return PRIOR_FREEDOM + self.runs - 1

    @property
    def prediction(self) -> Array:
        """Spread of one more run about the center, including the uncertainty of a center from `runs` runs."""
        return np.asarray(self.scale * np.sqrt(1 + 1 / self.runs))

    def minimum_detectable(self, pairs: int) -> Array:
        """Smallest slowdown (log) that both stages detect with 80 % power; see `detectable`."""
        return detectable(self.prediction, self.process, self.freedom, pairs)


def learn(history: Array, process: Array) -> Bands:
    """Bands from run statistics [runs, cases] and the spread of processes within those runs [cases]."""
    runs = len(history)
    return Bands(np.median(history, axis=0), moderated_spreads(history), np.maximum(process, TINY), runs)


def process_spread(medians: list[Array]) -> Array:
    """Spread of process medians within runs [cases], from one [cases, processes] array per run.

    It is the median over runs of the variance, so that a disturbed process affects one run only. The median
    of a sample variance is below the variance, so it is divided by the median of chi-squared (Wilson &
    Hilferty 1931).
    """
    freedom = medians[0].shape[1] - 1
    median_of_chi_squared = (1 - 2 / (9 * freedom)) ** 3
    return np.asarray(
        np.sqrt(np.median([m.var(axis=1, ddof=1) for m in medians], axis=0) / median_of_chi_squared)
    )


def detectable(prediction: Array, process: Array, freedom: int, pairs: int) -> Array:
    """The slowdown (log) that is detected with 80 % power: the larger of what the screen and the A/B need.

    Screen: one-sided p < 0.01 against the band. A/B of `pairs` pairs: the difference of two processes has a
    spread of sqrt(2) x process and must exceed the margin at 2.5 % or less, which takes 2.9 standard errors.
    """
    screen = prediction * (t_quantile(_SCREEN_P, freedom) + t_quantile(_POWER_P, freedom))
    confirm = CONFIRM_MARGIN + 2.9 * process * np.sqrt(2 / pairs)
    return np.asarray(np.maximum(screen, confirm))
