"""Robust spreads, moderated by a prior: how much a value varies, from few runs, pairs or GPUs.

Few values determine the spread of one case badly and that of all cases well. Each spread is therefore drawn
towards a prior that counts as PRIOR_FREEDOM degrees of freedom, as in limma (Smyth 2004). Log times go in, so
a spread of 0.01 is one percent.
"""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from quantroof.analysis.distributions import Array

PRIOR_FREEDOM = 6
TINY = 1e-6
"""The least spread: values that tie by the clock's resolution still vary."""
MEDIAN_VARIANCE_RATIO = math.pi / 2
"""Variance of a median over that of a mean, for normal values."""
_NORMAL_IQR, _NORMAL_Q90 = 1.349, 1.2816  # of the standard normal distribution

Variance = TypeVar("Variance", float, Array)


def moderated_variance(own: Variance, prior: Variance, freedom: int) -> Variance:
    """The variance `own`, estimated with `freedom` degrees of freedom, drawn towards a prior variance."""
    return (PRIOR_FREEDOM * prior + freedom * own) / (PRIOR_FREEDOM + freedom)


def moderated_spreads(history: Array) -> Array:
    """Spread over runs [cases] of values [runs, cases], drawn towards the median case's.

    The own spread is the larger of the interquartile one and the upper tail's.
    """
    if not history.shape[1]:
        return np.empty(0)
    upper = (np.quantile(history, 0.9, axis=0) - np.median(history, axis=0)) / _NORMAL_Q90
    own = np.maximum(robust_spread(history, axis=0), upper) ** 2
    variance = moderated_variance(own, np.asarray(np.median(own)), len(history) - 1)
    return np.asarray(np.maximum(np.sqrt(variance), TINY))


def moderated_spread(values: Array, prior: float) -> float:
    """Spread of a few values about their median, drawn towards a prior spread.

    The uncertainty of the median itself widens it: for one value, or none, by a whole median's.
    """
    n = len(values)
    if n < 2:
        return prior * math.sqrt(1 + MEDIAN_VARIANCE_RATIO)
    variance = moderated_variance(float(robust_spread(values, axis=0)) ** 2, prior**2, n - 1)
    return math.sqrt(variance * (1 + MEDIAN_VARIANCE_RATIO / n))


def robust_spread(values: Array, axis: int) -> Array:
    """Interquartile range as a standard deviation of a normal distribution; 0 of no values."""
    if values.shape[axis] == 0:
        return np.zeros(np.delete(values.shape, axis))
    high, low = np.quantile(values, [0.75, 0.25], axis=axis)
    return np.asarray((high - low) / _NORMAL_IQR)
