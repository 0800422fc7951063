"""The band of a case: the range of its time while the code is unchanged, learned from runs of such code.

Everything is in log time, so a spread of 0.01 is one percent. Process launches, not samples, are the unit of
replication: all samples of a process share the effects of its launch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quantroof.analysis.distributions import Array, t_quantile
from quantroof.analysis.spread import PRIOR_FREEDOM, TINY, moderated_spreads

SCREEN_P = 0.15
SCREEN_EFFECT = 0.0125
CONFIRM_MARGIN = 0.005
DEFAULT_THRESHOLD = 0.01
"""The relative slowdown that a policy calls a regression where it names none."""
MORE_PAIRS = 2
"""The further pairs for what an A/B leaves open, over its first pairs."""
HODGES_LEHMANN_LOSS = 1.05
"""Standard error of Hodges and Lehmann's estimate over the mean's, for normal differences."""
_MISSED = 0.03  # by the screen, and as many by the A/B: more than 90 % pass both
_CONFIRM_P = 0.0125  # what the last look asks of one slow case among four suspects


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

    def detectable(self, pairs: int, threshold: Array) -> Array:
        """The slowdown (log) that screen and A/B of `pairs` pairs find with at least 90 % power.

        The screen needs its p, and its least effect. The A/B needs the policy's threshold, and its p beyond
        the margin; the difference of two processes has a spread of sqrt(2) x process. Each misses few.
        """
        missed = t_quantile(_MISSED, self.freedom) * self.prediction
        suspected = np.maximum(t_quantile(SCREEN_P, self.freedom) * self.prediction, np.log1p(SCREEN_EFFECT))
        total = (1 + MORE_PAIRS) * pairs
        error = HODGES_LEHMANN_LOSS * self.process * np.sqrt(2 / total)
        freedom = PRIOR_FREEDOM + total - 1
        beyond = np.maximum(threshold, CONFIRM_MARGIN + t_quantile(_CONFIRM_P, freedom) * error)
        return np.asarray(np.maximum(suspected + missed, beyond + t_quantile(_MISSED, freedom) * error))


def learn(history: Array, process: Array) -> Bands:
    """Bands from run statistics [runs, cases] and the spread of processes within those runs [cases]."""
    runs = len(history)
    return Bands(np.median(history, axis=0), moderated_spreads(history), np.maximum(process, TINY), runs)


def process_spread(medians: list[Array]) -> Array:
    """Spread of process medians within runs [cases], from one [cases, processes] array per run.

    It is the median over runs of the variance, so that a disturbed process affects one run only. The median
    of a sample variance is below the variance, so each is divided by the median of chi-squared (Wilson &
    Hilferty 1931) for the processes of its run.
    """
    return np.asarray(np.sqrt(np.median([_variance(one) for one in medians], axis=0)))


def _variance(medians: Array) -> Array:
    """The variance [cases] of process medians [cases, processes], as likely too large as too small."""
    freedom = medians.shape[1] - 1
    median_of_chi_squared = (1 - 2 / (9 * freedom)) ** 3
    return np.asarray(medians.var(axis=1, ddof=1) / median_of_chi_squared)
