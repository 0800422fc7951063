"""Which of many similar GPUs are slow: scores of its classes and of single cases, as arrays.

Log times are natural logarithms of ns, so a score of 0.05 is 5 % slower. With hundreds of cases on thousands
of GPUs, testing single cases would flag healthy GPUs. Each GPU therefore gets exactly three p values: memory,
compute, and the number of single cases that are slower than their class. A false-discovery rate over GPUs
holds them (Benjamini & Hochberg 1995).
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.balance import RoofFollowed, compute_share, roof_followed
from quantroof.analysis.distributions import MAX_FREEDOM, Array, benjamini_hochberg, t_quantile
from quantroof.analysis.spread import PRIOR_FREEDOM, moderated_spreads, robust_spread
from quantroof.fleet.collection import Work
from quantroof.fleet.policy import NATURAL_SPREAD, Policy
from quantroof.fleet.slow_side import SlowSide, slow_side

Mask = NDArray[np.bool_]

CLASSES = ("memory", "compute")
TESTS = (*CLASSES, "cases")
"""The tests of a GPU, in the order of the columns of `Scores.p`."""
TAIL = 0.005
"""A case counts as slow where a case of a healthy GPU is that slow with this probability."""
_WEIGHTS: dict[RoofFollowed, tuple[float, float]] = {
    "memory": (1.0, 0.0),
    "both": (0.5, 0.5),
    "compute": (0.0, 1.0),
}
_LARGE = 8  # works that move less than this part of the largest may live in a cache


@dataclass(frozen=True, slots=True)
class Siblings:
    """The center and the spread of similar GPUs, in log time: `center` and `case_spread` are [cases],
    `middle` and `slow` [classes]."""

    center: Array
    middle: Array
    slow: tuple[SlowSide, ...]
    case_spread: Array
    case_limit: float

    @property
    def spread(self) -> Array:
        """[classes]: how much the slow half of healthy GPUs spreads."""
        return np.array([side.spread for side in self.slow])

    def tails(self, level: Array) -> Array:
        """Share of healthy GPUs that are at least as slow as each level [gpus, classes]; NaN where absent."""
        columns = [side.tail(column) for side, column in zip(self.slow, level.T, strict=True)]
        return np.asarray(np.where(np.isnan(level), np.nan, np.column_stack(columns)), np.float64)

    def floors(self, policy: Policy) -> Array:
        """[classes]: the log time beyond which a GPU is below the floor; the spread may move it out."""
        limits = [side.limit(policy.healthy_share) for side in self.slow]
        return np.asarray(np.maximum(policy.log_floor, np.array(limits)))


@dataclass(frozen=True, slots=True)
class Scores:
    """`level` [gpus, classes] is the log time relative to the siblings' median: positive is slower, NaN where
    a class was not measured. `slow_cases` is [gpus, cases]; `p` is [gpus, TESTS], NaN likewise."""

    level: Array
    slow_cases: Mask
    p: Array


def learn_siblings(log_ns: Array, class_weights: Array) -> Siblings:
    """Learn from log times [gpus, cases], NaN where absent; see `class_levels` for `class_weights`."""
    gpus = len(log_ns)
    center = nanmedian(log_ns, 0)
    level = class_levels(log_ns - center, class_weights)
    middle = nanmedian(level, 0)
    residual = np.nan_to_num(_residual(log_ns - center, level, class_weights))
    freedom = min(PRIOR_FREEDOM + gpus - 1, MAX_FREEDOM)
    alone = np.full(log_ns.shape[1], max(NATURAL_SPREAD.values()))
    case_spread = moderated_spreads(residual) if gpus > 1 else alone
    return Siblings(center, middle, slow_sides(level), case_spread, t_quantile(TAIL, freedom))


def slow_sides(level: Array) -> tuple[SlowSide, ...]:
    """The slow side of each class, from levels [gpus, classes]."""
    return tuple(
        slow_side(column[~np.isnan(column)], NATURAL_SPREAD[name])
        for name, column in zip(CLASSES, level.T, strict=True)
    )


def score(log_ns: Array, class_weights: Array, siblings: Siblings, policy: Policy) -> Scores:
    """Compare GPUs [gpus, cases] with siblings that were learned from them or from others.

    A case is slow where it deviates from its class by more than it does on other GPUs, and by more than the
    cases of this GPU vary: on a GPU far from the middle, cases follow their class less evenly.
    """
    deviation = log_ns - siblings.center
    raw = class_levels(deviation, class_weights)
    level = raw - siblings.middle
    p = siblings.tails(level)
    residual = _residual(deviation, raw, class_weights)
    own = np.maximum(robust_spread(np.nan_to_num(residual) / siblings.case_spread, axis=1), 1.0)
    limit = np.maximum(siblings.case_limit * own[:, None] * siblings.case_spread, policy.log_effect)
    slow = np.asarray(np.nan_to_num(residual, nan=-np.inf) > limit)
    measured = np.sum(~np.isnan(residual), axis=1)
    return Scores(level, slow, np.column_stack([p, _binomial_tails(slow.sum(axis=1), measured)]))


def defective(scores: Scores, policy: Policy) -> Mask:
    """[gpus, TESTS]: slower than siblings beyond chance.

    A false-discovery rate alone would let one of seven healthy nodes have a discovery, so each p value must
    be small by itself, too.
    """
    large = np.column_stack([scores.level > policy.log_effect, scores.slow_cases.any(axis=1)])
    rare = scores.p <= policy.healthy_share
    return np.asarray(discovered(scores.p, policy.false_discovery_rate) & large & rare)


def below_floor(scores: Scores, siblings: Siblings, policy: Policy) -> Mask:
    """[gpus, classes]: below the floor that the spread of healthy GPUs allows."""
    return np.asarray(np.nan_to_num(scores.level, nan=-np.inf) > siblings.floors(policy))


def expected_below(siblings: Siblings, policy: Policy) -> Array:
    """Share of healthy GPUs [classes] that lie below the floor."""
    return np.asarray(siblings.tails(siblings.floors(policy)[None])[0])


def confirmed_by_retest(first: Scores, repeated: Scores, policy: Policy) -> Mask:
    """[gpus, TESTS]: what a second measurement of the same GPUs confirms.

    A class must again be slow by the least effect; of the cases that were slow, half must be slow again.
    """
    classes = np.nan_to_num(repeated.level, nan=-np.inf) > policy.log_effect
    both = (first.slow_cases & repeated.slow_cases).sum(axis=1)
    return np.column_stack([classes, (both > 0) & (both * 2 >= first.slow_cases.sum(axis=1))])


def discovered(p: Array, rate: float) -> Mask:
    """Benjamini and Hochberg over all tests of p [gpus, tests] at once; NaN is not a test.

    All tests are one family: what one of them finds for certain is evidence of how many defects there are.
    """
    discoveries = np.zeros(p.shape, dtype=bool)
    tested = ~np.isnan(p)
    discoveries[tested] = benjamini_hochberg(p[tested], rate)
    return discoveries


def class_weights(works: list[Work], median_log_ns: Array) -> Array:
    """[works, classes]: 1 for the class that bounds a case, 0.5 for both near the ridge.

    The roofs are the best bandwidth and, per element type, the best rate that the median GPU reached in any
    case. This needs no datasheet, and a case with a slow kernel keeps its class.
    """
    if not works:
        return np.empty((0, len(CLASSES)))
    times_ns = np.exp(median_log_ns)
    large = max(w.bytes_moved for w in works) / _LARGE
    bandwidth = max(
        w.bytes_moved / ns for w, ns in zip(works, times_ns, strict=True) if w.bytes_moved >= large
    )
    rate: defaultdict[str, float] = defaultdict(float)
    for work, ns in zip(works, times_ns, strict=True):
        rate[work.element] = max(rate[work.element], work.flops / ns)
    shares = [compute_share(work.flops, work.bytes_moved, rate[work.element], bandwidth) for work in works]
    return np.array([_WEIGHTS[roof_followed(share)] for share in shares])


def roof_names(class_weights: Array) -> list[RoofFollowed]:
    """What bounds each work: the name behind its row of `class_weights`."""
    names = {weights: name for name, weights in _WEIGHTS.items()}
    return [names[memory, compute] for memory, compute in class_weights.tolist()]


def class_levels(deviation: Array, class_weights: Array) -> Array:
    """Median deviation [gpus, classes] over the cases of each class, NaN where none was measured.

    `class_weights` [cases, classes] holds what bounds a case: 1 for its class, 0.5 for both where it lies
    near the ridge. A case near the ridge counts for neither class.
    """
    return np.column_stack(
        [nanmedian(deviation[:, class_weights[:, c] == 1], 1) for c in range(len(CLASSES))]
    )


def _residual(deviation: Array, level: Array, class_weights: Array) -> Array:
    """The deviation [gpus, cases] less that of the case's class; NaN where either is absent."""
    expected = np.nan_to_num(level) @ class_weights.T
    missing = np.isnan(level).astype(float) @ class_weights.T
    return np.where(missing > 0, np.nan, deviation - expected)


def nanmedian(values: Array, axis: int) -> Array:
    """numpy's nanmedian without its warning for empty rows, and faster where nothing is absent."""
    if values.shape[axis] == 0:
        return np.full(values.shape[1 - axis], np.nan)
    if not np.isnan(values).any():
        return np.asarray(np.median(values, axis=axis))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanmedian(values, axis=axis))


def _binomial_tails(counts: NDArray[np.intp], of: NDArray[np.intp]) -> Array:
    """P(X >= count) where each of `of` cases is slow with probability TAIL; NaN where there are no cases."""
    tails: dict[tuple[int, int], float] = {}
    for k, n in zip(counts.tolist(), of.tolist(), strict=True):
        if (k, n) not in tails:
            tails[k, n] = _binomial_tail(k, n) if n else math.nan
    return np.array([tails[pair] for pair in zip(counts.tolist(), of.tolist(), strict=True)])


def _binomial_tail(k: int, n: int) -> float:
    below = math.fsum(math.comb(n, i) * TAIL**i * (1 - TAIL) ** (n - i) for i in range(k))
    return max(0.0, 1 - below)
