"""Both stages of the procedure as arithmetic: the screen against the band, and the A/B that confirms.

The screen is cheap and often wrong. Only its suspects are measured again, base and candidate in
alternating fresh processes. A regression is confirmed when two different tests agree under false-discovery
control and the estimate exceeds the policy's threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.distributions import Array, benjamini_hochberg, signed_rank_tail, t_quantile, t_tail
from quantroof.analysis.spread import PRIOR_FREEDOM, moderated_variance, robust_spread
from quantroof.gate.band import CONFIRM_MARGIN, HODGES_LEHMANN_LOSS, SCREEN_EFFECT, SCREEN_P, Bands

Mask = NDArray[np.bool_]

FASTER_P = 0.01
REMEASURE_P = 0.005
REMEASURE_EFFECT = 0.015
FIRST_RATE = 0.01
"""False-discovery rate of an A/B after its first pairs: strict, because more may follow."""
LAST_RATE = 0.05


@dataclass(frozen=True, slots=True)
class ChangeEstimates:
    """Log change of every case with its 95 % interval, and the one-sided p of slower and of faster."""

    change: Array
    low: Array
    high: Array
    slower_p: Array
    faster_p: Array


def screen(statistic: Array, bands: Bands) -> ChangeEstimates:
    """A run's statistic (`processes.low_process`) of every case against the bands."""
    change = statistic - bands.center
    t = change / bands.prediction
    half = t_quantile(0.025, bands.freedom) * bands.prediction
    return ChangeEstimates(
        change, change - half, change + half, t_tail(t, bands.freedom), t_tail(-t, bands.freedom)
    )


def suspects(changes: ChangeEstimates, absolute: Array) -> tuple[Mask, Mask]:
    """The cases that look slower and those that look faster; `absolute` is the smallest log change that
    counts.

    A slowdown must not be missed, so its level is per case. An improvement fails nothing and is not worth a
    second measurement by chance, so its level is for all cases together.
    """
    floor = np.maximum(np.log1p(SCREEN_EFFECT), absolute)
    return (
        (changes.slower_p < SCREEN_P) & (changes.change > floor),
        (changes.faster_p < FASTER_P / len(floor)) & (-changes.change > floor),
    )


def paired(differences: Array, process: Array) -> ChangeEstimates:
    """Log candidate / base of every pair [cases, pairs], where a process alone spreads by `process`.

    The estimate is Hodges and Lehmann's. Its spread is that of the pairs, moderated by the spread of this
    case in the baseline. Each p is the larger of the signed-rank test's and the t test's, both against the
    margin.
    """
    pairs = differences.shape[1]
    freedom = pairs - 1 + PRIOR_FREEDOM
    center = hodges_lehmann(differences)
    own = robust_spread(differences, axis=1) ** 2
    spread = np.sqrt(moderated_variance(own, 2 * process**2, pairs - 1))
    error = np.maximum(HODGES_LEHMANN_LOSS * spread / np.sqrt(pairs), 1e-9)
    half = t_quantile(0.025, freedom) * error
    slower, faster = (
        np.maximum(
            signed_rank_tail(sign * differences - CONFIRM_MARGIN),
            t_tail((sign * center - CONFIRM_MARGIN) / error, freedom),
        )
        for sign in (1, -1)
    )
    return ChangeEstimates(center, center - half, center + half, slower, faster)


def confirmed(changes: ChangeEstimates, threshold: Array, rate: float) -> tuple[Mask, Mask]:
    """The suspects that are confirmed slower and confirmed faster, beyond the policy's log threshold.

    They are two families of tests, each with the false-discovery rate `rate`.
    """
    slower = benjamini_hochberg(changes.slower_p, rate) & (changes.change >= threshold)
    faster = benjamini_hochberg(changes.faster_p, rate) & (-changes.change >= threshold)
    return slower, faster


def remeasured(changes: ChangeEstimates, threshold: Array) -> tuple[Mask, Mask]:
    """The same without a base build: suspects that were measured again are compared with the band once
    more."""
    floor = np.maximum(np.log1p(REMEASURE_EFFECT), threshold)
    slower = (changes.slower_p < REMEASURE_P) & (changes.change >= floor)
    faster = (changes.faster_p < REMEASURE_P) & (-changes.change >= floor)
    return slower, faster


def hodges_lehmann(values: Array) -> Array:
    """Median of all pairwise means of each row, including each value paired with itself."""
    first, second = np.triu_indices(values.shape[1])
    return np.asarray(np.median((values[:, first] + values[:, second]) / 2, axis=1))
