"""Bounds of the numbers in files: wider than any machine, and so narrow that no product overflows."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

LARGEST = 1e12  # of a number that a person types
MAX_PROCESSES = 1000
MAX_SEED = 2**63 - 1
MAX_TIMEOUT_S = 1e6  # 11 days
SHORTEST_NS, LONGEST_NS = 1e-6, 1e18  # up to 32 years

Count = Annotated[int, Meta(ge=0, le=2**62)]
Index = Annotated[int, Meta(ge=0, le=1_000_000)]
Processes = Annotated[int, Meta(ge=1, le=MAX_PROCESSES)]
Seed = Annotated[int, Meta(ge=-MAX_SEED - 1, le=MAX_SEED)]
Amount = Annotated[float, Meta(ge=-1e18, le=1e18)]
Positive = Annotated[float, Meta(ge=1e-18, le=1e18)]
Timeout = Annotated[float, Meta(ge=0, le=MAX_TIMEOUT_S)]
Nanoseconds = Annotated[float, Meta(ge=0, le=LONGEST_NS)]
Capability = Annotated[str, Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,3})?$")]
"""A compute capability: `9.0`."""
