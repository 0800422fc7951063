"""Which GPUs of many alike are slow: class scores, single cases, and the GPU's own past, as arrays.

Log times are natural logarithms of ns, so a score of 0.05 is 5 % slower. Hundreds of cases on thousands of
GPUs make any test of single cases condemn healthy ones; so a GPU gets three p values in all (memory, compute,
and how many single cases fall out of their class), held to a false-discovery rate over GPUs (Benjamini &
Hochberg 1995).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.distributions import Array, benjamini_hochberg, t_quantile, t_tail
from quantroof.fleet.policy import NATURAL_SPREAD, REPEAT_SPREAD, Policy
from quantroof.gate.band import PRIOR_FREEDOM, moderated, robust_spread

Mask = NDArray[np.bool_]

CLASSES = ("memory", "compute")
TESTS = (*CLASSES, "cases")
"""The tests of a GPU, in the order of the columns of `Scores.p`."""
TAIL = 0.005
"""A case is slow where a healthy GPU's would be so slow this often."""
_MEDIAN_VARIANCE_RATIO = math.pi / 2  # variance of a median over that of a mean, for normal values
_MOST_FREEDOM = 200  # beyond it Student's t is the normal distribution
_CENTRED_FROM = 8  # GPUs with a past from which the fleet's own median change is taken out


@dataclass(frozen=True, slots=True)
class Siblings:
    """GPUs alike, in log time: `center` and `case_spread` [cases], `middle` and `spread` [classes]."""

    center: Array
    middle: Array
    spread: Array
    case_spread: Array
    case_limit: float
    freedom: int


@dataclass(frozen=True, slots=True)
class Scores:
    """`level` [gpus, classes]: log time beside the siblings' median, positive is slower, NaN where a class
    was not measured. `slow_cases` [gpus, cases]; `p` [gpus, TESTS], NaN likewise."""

    level: Array
    slow_cases: Mask
    p: Array


def learn_siblings(log_ns: Array, follows: Array) -> Siblings:
    """Learn from log times [gpus, cases], NaN where absent; see `class_levels` for `follows`."""
    gpus = len(log_ns)
    center = nanmedian(log_ns, 0)
    level = class_levels(log_ns - center, follows)
    middle = nanmedian(level, 0)
    residual = np.nan_to_num(_residual(log_ns - center, level, follows))
    freedom = min(PRIOR_FREEDOM + gpus - 1, _MOST_FREEDOM)
    own = [_moderated_spread(column[~np.isnan(column)], NATURAL_SPREAD) for column in level.T]
    case_spread = moderated(residual) if gpus > 1 else np.full(log_ns.shape[1], NATURAL_SPREAD)
    return Siblings(center, middle, np.array(own), case_spread, t_quantile(TAIL, freedom), freedom)


def score(log_ns: Array, follows: Array, reference: Siblings, policy: Policy) -> Scores:
    """Where GPUs [gpus, cases] lie beside a reference that was learned from them or from their siblings.

    A case is slow where it leaves its class by more than it does on other GPUs, and by more than this
    GPU's own cases vary: on a GPU far from the middle they follow their class less evenly.
    """
    deviation = log_ns - reference.center
    raw = class_levels(deviation, follows)
    level = raw - reference.middle
    p = np.where(np.isnan(level), np.nan, t_tail(level / reference.spread, reference.freedom))
    residual = _residual(deviation, raw, follows)
    own = np.maximum(robust_spread(np.nan_to_num(residual) / reference.case_spread, axis=1), 1.0)
    limit = np.maximum(reference.case_limit * own[:, None] * reference.case_spread, _effect(policy))
    slow = np.asarray(np.nan_to_num(residual, nan=-np.inf) > limit)
    measured = np.sum(~np.isnan(residual), axis=1)
    return Scores(level, slow, np.column_stack([p, _binomial_tails(slow.sum(axis=1), measured)]))


def defective(scores: Scores, policy: Policy) -> Mask:
    """[gpus, TESTS]: slower than siblings beyond chance, under false-discovery control over GPUs."""
    large = np.column_stack([scores.level > _effect(policy), scores.slow_cases.any(axis=1)])
    return discovered(scores.p, policy.false_discovery_rate) & large


def below_policy(scores: Scores, policy: Policy) -> Mask:
    """[gpus, classes]: below the floor, whether chance explains it or not."""
    return np.asarray(np.nan_to_num(scores.level, nan=-np.inf) > -math.log(policy.floor))


def expected_below(reference: Siblings, policy: Policy) -> Array:
    """Share of healthy GPUs [classes] that lie below the floor, were their spread normal."""
    return t_tail(-math.log(policy.floor) / reference.spread, reference.freedom)


def confirmed_by_retest(first: Scores, repeated: Scores, policy: Policy) -> Mask:
    """[gpus, TESTS]: what a second measurement of the same GPUs bears out.

    A class must again be slow by the least effect; of the cases that were slow, half must be slow again.
    """
    classes = np.nan_to_num(repeated.level, nan=-np.inf) > _effect(policy)
    both = (first.slow_cases & repeated.slow_cases).sum(axis=1)
    return np.column_stack([classes, both * 2 >= np.maximum(first.slow_cases.sum(axis=1), 1)])


def change_from_past(log_ns: Array, past: Array, follows: Array, policy: Policy) -> tuple[Array, Mask]:
    """Each GPU against its own past: log change [gpus, classes], and where it became slower beyond chance.

    `past` [gpus, cases] is the median of earlier runs, NaN where there was none. What changed for most GPUs
    (a driver, the season) is taken out where enough of them have a past.
    """
    difference = log_ns - past
    known = int((~np.isnan(difference)).any(axis=1).sum())
    if known >= _CENTRED_FROM:
        difference = difference - nanmedian(difference, 0)
    level = class_levels(difference, follows)
    freedom = min(PRIOR_FREEDOM + max(known, 1) - 1, _MOST_FREEDOM)
    spread = np.array([_moderated_spread(column[~np.isnan(column)], REPEAT_SPREAD) for column in level.T])
    p = np.where(np.isnan(level), np.nan, t_tail(level / spread, freedom))
    slower = np.nan_to_num(level, nan=-np.inf) > _effect(policy)
    return level, discovered(p, policy.false_discovery_rate) & slower


def slower_on_retest(log_ns: Array, past: Array, follows: Array, policy: Policy) -> Mask:
    """[gpus, classes]: what of `changed` a second measurement bears out, by the least effect."""
    level, _ = change_from_past(log_ns, past, follows, policy)
    return np.asarray(np.nan_to_num(level, nan=-np.inf) > _effect(policy))


def discovered(p: Array, rate: float) -> Mask:
    """Benjamini and Hochberg over all tests of p [gpus, tests] at once; NaN is no test.

    One family of all of them: what one test finds for certain is evidence of how many there are to find.
    """
    found = np.zeros(p.shape, dtype=bool)
    known = ~np.isnan(p)
    found[known] = benjamini_hochberg(p[known], rate)
    return found


def class_levels(deviation: Array, follows: Array) -> Array:
    """Median deviation [gpus, classes] over the cases of each class, NaN where none was measured.

    `follows` [cases, classes] says what bounds a case: 1 for its class, 0.5 for both where it lies near the
    ridge. Those between speak for neither.
    """
    return np.column_stack([nanmedian(deviation[:, follows[:, c] == 1], 1) for c in range(len(CLASSES))])


def _residual(deviation: Array, level: Array, follows: Array) -> Array:
    """What is left of a deviation when its class is taken out [gpus, cases]; NaN where either is absent."""
    known = np.nan_to_num(level) @ follows.T
    missing = np.isnan(level).astype(float) @ follows.T
    return np.where(missing > 0, np.nan, deviation - known)


def nanmedian(values: Array, axis: int) -> Array:
    """numpy's, where a row of nothing gives NaN and no warning; quick where nothing is absent."""
    if values.shape[axis] == 0:
        return np.full(values.shape[1 - axis], np.nan)
    if not np.isnan(values).any():
        return np.asarray(np.median(values, axis=axis))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=axis))


def _effect(policy: Policy) -> float:
    return -math.log1p(-policy.min_effect)


def _moderated_spread(values: Array, prior: float) -> float:
    """Spread about a median, drawn towards a prior as `gate.band.moderated` does, and widened by what the
    median of so few is itself unsure of."""
    n = len(values)
    if n < 2:
        return prior * math.sqrt(1 + _MEDIAN_VARIANCE_RATIO)
    own = float(robust_spread(values, axis=0))
    variance = (PRIOR_FREEDOM * prior**2 + (n - 1) * own**2) / (PRIOR_FREEDOM + n - 1)
    return math.sqrt(variance * (1 + _MEDIAN_VARIANCE_RATIO / n))


def _binomial_tails(counts: NDArray[np.intp], of: NDArray[np.intp]) -> Array:
    """P(X >= count) of as many cases, each slow with probability TAIL; NaN of no case at all."""
    tails: dict[tuple[int, int], float] = {}
    for k, n in zip(counts.tolist(), of.tolist(), strict=True):
        if (k, n) not in tails:
            tails[k, n] = _binomial_tail(k, n) if n else math.nan
    return np.array([tails[pair] for pair in zip(counts.tolist(), of.tolist(), strict=True)])


def _binomial_tail(k: int, n: int) -> float:
    below = math.fsum(math.comb(n, i) * TAIL**i * (1 - TAIL) ** (n - i) for i in range(k))
    return max(0.0, 1 - below)
