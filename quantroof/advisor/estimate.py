"""A time with its band and where it comes from. Sums keep the weakest source."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Source = Literal["measured", "interpolated", "imported", "modeled"]
"""`measured` and `interpolated` rest on this node's times, `imported` on those that others measured."""
_STRENGTH: tuple[Source, ...] = ("measured", "interpolated", "imported", "modeled")


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds with an error band [low, high], and `floor`, the roofs' own time (None if unknown)."""

    seconds: float
    low: float
    high: float
    floor: float | None
    source: Source

    def times(self, count: float) -> Estimate:
        """The same work `count` times over."""
        floor = None if self.floor is None else self.floor * count
        return Estimate(
            seconds=self.seconds * count,
            low=self.low * count,
            high=self.high * count,
            floor=floor,
            source=self.source,
        )

    def banded(self, low: float, high: float) -> Estimate:
        """A modeled time with the range of measured over predicted as its band; others keep their own."""
        if self.source != "modeled":
            return self
        least = max(self.seconds * low, min(self.floor or 0.0, self.seconds))
        return Estimate(
            seconds=self.seconds, low=least, high=self.seconds * high, floor=self.floor, source=self.source
        )


def total(parts: Iterable[Estimate]) -> Estimate:
    """Work done one after another. Bands add up as if every error had the same sign: the cautious way."""
    seconds = low = high = 0.0
    floor: float | None = 0.0
    weakest = 0
    for part in parts:
        seconds, low, high = seconds + part.seconds, low + part.low, high + part.high
        floor = None if floor is None or part.floor is None else floor + part.floor
        weakest = max(weakest, _STRENGTH.index(part.source))
    return Estimate(seconds=seconds, low=low, high=high, floor=floor, source=_STRENGTH[weakest])
