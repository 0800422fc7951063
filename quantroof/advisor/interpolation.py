"""Times of layers between those that were timed: log-linear in N, K and M, else from the nearest shape."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

Shape = tuple[int, int]
# A layer of another shape stands in for one that is at most this many times larger or smaller.
NEAREST_FACTOR = 4.0
# How many points are left out and predicted to find the error of an interpolation.
SAMPLED = 250


@dataclass(frozen=True, slots=True)
class KernelTime:
    """The fastest correct kernel of one case: seconds with the 95 % interval, and power where it was read."""

    m: int
    seconds: float
    low: float
    high: float
    kernel: str
    power_w: float | None = None


Shapes = Mapping[Shape, Sequence[KernelTime]]
Value = tuple[float, float | None]
"""Seconds, and power where it was read."""


def at_shape(shapes: Shapes, shape: Shape, m: int) -> Value | None:
    """Seconds and power of a layer: of its own shape, between the four around it, else from the nearest."""
    if shape in shapes:
        own = at_batch(shapes[shape], m)
        if own is not None:
            return own
    return _between(shapes, shape, m) or _nearest(shapes, shape, m)


def at_batch(points: Sequence[KernelTime], m: int) -> Value | None:
    """Log-log between the neighbors in M; beyond the largest M as repeats of it; None below the smallest."""
    last = points[-1]
    if m >= last.m:
        return last.seconds * m / last.m, last.power_w
    for a, b in pairwise(points):
        if a.m <= m <= b.m:
            share = math.log(m / a.m) / math.log(b.m / a.m)
            powers = [p.power_w for p in (a, b) if p.power_w is not None]
            power = median(powers) if len(powers) == 2 else None
            return a.seconds ** (1 - share) * b.seconds**share, power
    return None


def _between(shapes: Shapes, shape: Shape, m: int) -> Value | None:
    """From the shapes whose N and K bracket it; None unless all of them were timed and cover M."""
    sides = []
    for axis, target in enumerate(shape):
        sizes = sorted({own[axis] for own in shapes})
        below, above = bisect_right(sizes, target) - 1, bisect_left(sizes, target)
        if below < 0 or above == len(sizes):
            return None
        low, high = sizes[below], sizes[above]
        share = 0.0 if low == high else math.log(target / low) / math.log(high / low)
        sides.append(((low, 1 - share), (high, share)))
    seconds, powers = 0.0, []
    for n, of_n in sides[0]:
        for k, of_k in sides[1]:
            if of_n * of_k == 0:
                continue
            corner = at_batch(shapes[n, k], m) if (n, k) in shapes else None
            if corner is None:
                return None
            seconds += of_n * of_k * math.log(corner[0])
            powers.append(corner[1])
    readings = [power for power in powers if power is not None]
    return math.exp(seconds), median(readings) if len(readings) == len(powers) else None


def _nearest(shapes: Shapes, shape: Shape, m: int) -> Value | None:
    """From the shape nearest in log N and log K that covers M, scaled by N K as bytes and operations are."""
    size = shape[0] * shape[1]
    near = [own for own in shapes if 1 / NEAREST_FACTOR <= own[0] * own[1] / size <= NEAREST_FACTOR]
    while near:
        n, k = min(near, key=lambda own: _distance(own, shape))
        near.remove((n, k))
        at = at_batch(shapes[n, k], m)
        if at is not None:
            return at[0] * size / (n * k), at[1]
    return None


def _distance(one: Shape, other: Shape) -> float:
    return math.hypot(math.log(one[0] / other[0]), math.log(one[1] / other[1]))


def batch_errors(shapes: Shapes) -> Iterable[float]:
    """Relative errors of predicting points without themselves: the ends of M from the other shapes alone."""
    for shape, i in _sample([(shape, i) for shape, points in shapes.items() for i in range(len(points))]):
        points = shapes[shape]
        rest = {**shapes, shape: [*points[:i], *points[i + 1 :]]}
        if not 0 < i < len(points) - 1:
            del rest[shape]
        predicted = at_shape(rest, shape, points[i].m)
        if predicted is not None:
            yield abs(predicted[0] / points[i].seconds - 1)


def shape_errors(shapes: Shapes) -> Iterable[float]:
    """Relative errors of predicting points without any point of their shape."""
    for shape, i in _sample([(shape, i) for shape, points in shapes.items() for i in range(len(points))]):
        rest = {own: points for own, points in shapes.items() if own != shape}
        predicted = at_shape(rest, shape, shapes[shape][i].m)
        if predicted is not None:
            yield abs(predicted[0] / shapes[shape][i].seconds - 1)


def _sample(keys: list[tuple[Shape, int]]) -> list[tuple[Shape, int]]:
    """At most `SAMPLED` of the keys, evenly spread."""
    every = max(1, -(-len(keys) // SAMPLED))
    return keys[::every]
