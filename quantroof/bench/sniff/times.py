"""What a rank reports of itself: its device, and how long one copy and one product took. Imports no torch."""

from __future__ import annotations

import msgspec


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Which device a rank has, and on which node; None for what is not reported."""

    node: str
    kind: str
    index: int
    name: str
    uuid: str | None = None
    pci: str | None = None


class ProbeTimes(msgspec.Struct, frozen=True, kw_only=True):
    """Median nanoseconds of one copy and one product, or why there are none."""

    memory_ns: float | None = None
    compute_ns: float | None = None
    error: str | None = None
