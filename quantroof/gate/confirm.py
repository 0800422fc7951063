"""Both stages of the procedure as arithmetic: the screen against the band, and the A/B that confirms.

The screen is cheap and wrong about once per run. Only its suspects are measured again, base and candidate in
alternating fresh processes. A regression is confirmed when two different tests agree under false-discovery
control and the estimate exceeds the policy's threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.distributions import Array, benjamini_hochberg, signed_rank_tail, t_quantile, t_tail
from quantroof.analysis.spread import PRIOR_FREEDOM, moderated_variance, robust_spread
from quantroof.gate.band import CONFIRM_MARGIN, Bands

Mask = NDArray[np.bool_]

SCREEN_P = 0.01
SCREEN_EFFECT = 0.01
REMEASURE_P = 0.005
REMEASURE_EFFECT = 0.015
FALSE_DISCOVERY_RATE = 0.05
_HODGES_LEHMANN_LOSS = 1.05  # its standard error over the mean's, for normal differences


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
    counts."""
    floor = np.maximum(np.log1p(SCREEN_EFFECT), absolute)
    return (
        (changes.slower_p < SCREEN_P) & (changes.change > floor),
        (changes.faster_p < SCREEN_P) & (-changes.change > floor),
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
    error = np.maximum(_HODGES_LEHMANN_LOSS * spread / np.sqrt(pairs), 1e-9)
    half = t_quantile(0.025, freedom) * error
    slower, faster = (
        np.maximum(
            signed_rank_tail(sign * differences - CONFIRM_MARGIN),
            t_tail((sign * center - CONFIRM_MARGIN) / error, freedom),
        )
        for sign in (1, -1)
    )
    return ChangeEstimates(center, center - half, center + half, slower, faster)


def confirmed(changes: ChangeEstimates, threshold: Array, slow: Mask, fast: Mask) -> tuple[Mask, Mask]:
    """The suspects that are confirmed slower and confirmed faster, beyond the policy's log threshold.

    `slow` and `fast` are the suspects of the screen. They are two families of tests.
    """
    slower = _discovered(changes.slower_p, slow) & (changes.change >= threshold)
    faster = _discovered(changes.faster_p, fast) & (-changes.change >= threshold)
    return slower, faster


def remeasured(changes: ChangeEstimates, threshold: Array) -> tuple[Mask, Mask]:
    """The same without a base build: suspects that were measured again are compared with the band once
    more."""
    floor = np.maximum(np.log1p(REMEASURE_EFFECT), threshold)
    slower = (changes.slower_p < REMEASURE_P) & (changes.change >= floor)
    faster = (changes.faster_p < REMEASURE_P) & (-changes.change >= floor)
    return slower, faster


def _discovered(p: Array, family: Mask) -> Mask:
    discoveries = np.zeros(len(p), dtype=bool)
    discoveries[family] = benjamini_hochberg(p[family], FALSE_DISCOVERY_RATE)
    return discoveries


def hodges_lehmann(values: Array) -> Array:
    """Median of all pairwise means of each row, including each value paired with itself."""
    first, second = np.triu_indices(values.shape[1])
    return np.asarray(np.median((values[:, first] + values[:, second]) / 2, axis=1))
