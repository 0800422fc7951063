"""Tails of the two distributions the gate tests with: Student's t and Wilcoxon's signed rank, exact."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MAX_FREEDOM = 200
"""Degrees of freedom beyond which Student's t is taken as it is here: 0.7 % above the normal quantile."""
_EXACT_PAIRS = 120  # three times the most that a gate is asked for; the rank sums of more outgrow their use


def t_tail(t: Array, freedom: int) -> Array:
    """P(T > t) of Student's t with a whole number of degrees of freedom (Abramowitz & Stegun 26.7.3-4)."""
    theta = np.arctan(np.abs(t) / np.sqrt(freedom))
    cos, sin = np.cos(theta), np.sin(theta)
    odd = freedom % 2 == 1
    term = cos.copy() if odd else np.ones_like(theta)
    total = np.zeros_like(theta) if freedom == 1 else term.copy()
    for k in range(3 if odd else 2, freedom - 1, 2):
        term = term * cos**2 * (k - 1) / k
        total += term
    between = 2 / np.pi * (theta + sin * total) if odd else sin * total
    tail = np.clip((1 - between) / 2, 0.0, 0.5)
    return np.asarray(np.where(t >= 0, tail, 1 - tail))


@lru_cache(maxsize=256)
def t_quantile(tail: float, freedom: int) -> float:
    """The t > 0 that is exceeded with probability `tail` < 0.5, by bisection."""
    low, high = 0.0, 1.0
    while t_tail(np.array([high]), freedom)[0] > tail:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_tail(np.array([middle]), freedom)[0] > tail else (low, middle)
    return (low + high) / 2


def signed_rank_tail(differences: Array) -> Array:
    """P of a signed-rank sum at least as large as each row's, were its values symmetric about 0.

    `differences` is [tests, pairs]; exact, and one-sided: small where the values lie above 0.
    """
    ranks = np.argsort(np.argsort(np.abs(differences), axis=1), axis=1) + 1
    sums = np.where(differences > 0, ranks, 0).sum(axis=1)
    return np.asarray(_rank_sum_tails(differences.shape[1])[sums])


def benjamini_hochberg(p: Array, rate: float) -> NDArray[np.bool_]:
    """Which tests to reject so that at most `rate` of the rejected are expected to be false discoveries.

    Benjamini & Hochberg, Journal of the Royal Statistical Society B 57(1), 1995.
    """
    rejected = np.zeros(len(p), dtype=bool)
    order = np.argsort(p)
    passing = np.nonzero(p[order] <= rate * np.arange(1, len(p) + 1) / max(len(p), 1))[0]
    if len(passing):
        rejected[order[: passing[-1] + 1]] = True
    return rejected


@lru_cache(maxsize=64)
def _rank_sum_tails(pairs: int) -> Array:
    """P(sum >= s) for every s: each rank is in the sum or not, with even odds."""
    if pairs > _EXACT_PAIRS:
        raise ValueError(f"{pairs} pairs: the exact signed-rank distribution is kept up to {_EXACT_PAIRS}")
    ways = np.zeros(pairs * (pairs + 1) // 2 + 1)
    ways[0] = 1.0
    for rank in range(1, pairs + 1):
        ways[rank:] = ways[rank:] + ways[: len(ways) - rank].copy()
    return np.cumsum(ways[::-1])[::-1] / 2.0**pairs
