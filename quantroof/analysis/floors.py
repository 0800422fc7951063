"""How far below others a healthy GPU may be; apart from the judgment, so that a cold start is short."""

from __future__ import annotations

from quantroof.hwprofiles.published import read_floor
from quantroof.hwprofiles.types import HardwareProfile

SIBLING_FLOOR = 0.05
"""A ceiling this far below its siblings' median is an outlier. A fleet has statistics instead."""
BANDWIDTH_FLOOR = 0.85
"""Least share of the datasheet's bandwidth of a healthy read, for a GPU whose reads nobody published."""


def floor_of(profile: HardwareProfile | None) -> float:
    """The least share of the datasheet's bandwidth that a healthy GPU of a profile reads at."""
    return (read_floor(profile) if profile else None) or BANDWIDTH_FLOOR
