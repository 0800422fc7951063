"""The band of a case: where its time lies when nothing changed, learned from runs of unchanged code.

Everything is in log time, so a spread of 0.01 is one percent. Process launches, not samples, are the unit of
replication: the samples of one process share whatever its launch did to it.
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
    spread of process medians within a run; `runs` how many runs it was learned from."""

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
        """Spread of one more run about the center, which is itself only known from `runs` runs."""
        return np.asarray(self.scale * np.sqrt(1 + 1 / self.runs))

    def minimum_detectable(self, pairs: int) -> Array:
        """Smallest slowdown (log) that both stages see with 80 % power; see `detectable`."""
        return detectable(self.prediction, self.process, self.freedom, pairs)


def learn(history: Array, process: Array) -> Bands:
    """Bands from run statistics [runs, cases] and the spread of processes within those runs [cases]."""
    runs = len(history)
    return Bands(np.median(history, axis=0), moderated_spreads(history), np.maximum(process, TINY), runs)


def process_spread(medians: list[Array]) -> Array:
    """Spread of process medians within runs [cases], from one [cases, processes] array a run.

    The median over runs of the variance, so that a spoiled process spoils one run only, over the median of
    chi-squared (Wilson & Hilferty 1931), since the median of a variance lies below the variance.
    """
    freedom = medians[0].shape[1] - 1
    below = (1 - 2 / (9 * freedom)) ** 3
    return np.asarray(np.sqrt(np.median([m.var(axis=1, ddof=1) for m in medians], axis=0) / below))


def detectable(prediction: Array, process: Array, freedom: int, pairs: int) -> Array:
    """The slowdown (log) that is seen with 80 % power: the larger of what the screen and the A/B need.

    Screen: one-sided p < 0.01 against the band. A/B of `pairs` pairs: the difference of two processes has
    spread sqrt(2) x process, and must clear the margin at 2.5 % or less, whence 2.9 standard errors.
    """
    screen = prediction * (t_quantile(_SCREEN_P, freedom) + t_quantile(_POWER_P, freedom))
    confirm = CONFIRM_MARGIN + 2.9 * process * np.sqrt(2 / pairs)
    return np.asarray(np.maximum(screen, confirm))
