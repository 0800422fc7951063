"""What bounds a case on these GPUs: its operations or its bytes, by the best rates the GPUs reached."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.fleet.collection import Work

_LARGE = 8  # works that move less than this part of the largest may live in a cache
_EVEN = (1 / 3, 2 / 3)  # a share of compute time within these follows both


def followed(works: list[Work], median_log_ns: Array) -> Array:
    """[works, (memory, compute)]: 1 for the class that bounds a case, 0.5 for both near the ridge.

    The roofs are the best bandwidth and, by element type, the best rate that the median GPU reached in any
    case: no datasheet is needed, and a case that a slow kernel makes slow keeps its class.
    """
    seconds = np.exp(median_log_ns) / 1e9
    large = max((w.bytes_moved for w in works), default=0) / _LARGE
    bandwidth = max(
        (w.bytes_moved / s for w, s in zip(works, seconds, strict=True) if w.bytes_moved >= large),
        default=1.0,
    )
    rate: defaultdict[str, float] = defaultdict(float)
    for work, taken in zip(works, seconds, strict=True):
        rate[work.element] = max(rate[work.element], work.flops / taken)
    return np.array([_weights(work, bandwidth, rate[work.element]) for work in works])


def _weights(work: Work, bandwidth: float, rate: float) -> tuple[float, float]:
    memory = work.bytes_moved / bandwidth
    compute = work.flops / rate if rate else 0.0
    share = compute / (memory + compute)
    if share < _EVEN[0]:
        return 1.0, 0.0
    return (0.0, 1.0) if share > _EVEN[1] else (0.5, 0.5)
