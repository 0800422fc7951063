"""Against the vendor's figure: the one comparison that a whole fleet slow alike does not pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quantroof.fleet.collection import Unit, Work
from quantroof.fleet.policy import Policy
from quantroof.fleet.preflight import Finding
from quantroof.gate.distributions import Array
from quantroof.hwprofiles.catalog import match

_READ = "bandwidth/read/"


def below_datasheet(
    units: list[Unit], works: list[Work], log_ns: Array, policy: Policy
) -> list[Finding | None]:
    """Each unit's best DRAM read [units, works] against the datasheet; None where it passes or is unknown.

    Only the largest read counts: small ones may be answered by a cache.
    """
    reads = [(w.bytes_moved, column) for column, w in enumerate(works) if w.name.startswith(_READ)]
    profile = match(units[0].device) if units else None
    if not reads or profile is None:
        return [None] * len(units)
    moved, column = max(reads)
    shares: NDArray[np.float64] = moved / np.exp(log_ns[:, column]) * 1e9 / profile.bandwidth_bytes_per_s
    return [_finding(float(share), policy) for share in shares]


def _finding(share: float, policy: Policy) -> Finding | None:
    if not share < policy.datasheet_floor:
        return None
    text = f"reads memory at {share:.0%} of the datasheet, the floor is {policy.datasheet_floor:.0%}"
    return Finding("below policy", "datasheet", text)
