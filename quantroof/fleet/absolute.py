"""Against the vendor's figures: the one comparison that a whole fleet slow alike does not pass."""

from __future__ import annotations

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.fleet.collection import Unit, Work
from quantroof.fleet.policy import Policy
from quantroof.fleet.preflight import Finding
from quantroof.hwprofiles.catalog import match

READ = "read"
_READS, _MATRIX = "bandwidth/read/", "matrix/"


def datasheet_shares(units: list[Unit], works: list[Work], log_ns: Array) -> list[dict[str, float]]:
    """What share of the datasheet each unit [units, works] reached: DRAM `read`, and the matrix rates by
    element. What was not measured or stands in no datasheet is left out.

    Only the largest read counts: small ones may be answered by a cache.
    """
    shares: list[dict[str, float]] = [{} for _ in units]
    profile = match(units[0].device) if units else None
    if profile is None:
        return shares
    reads = [w.bytes_moved for w in works if w.name.startswith(_READS)]
    for column, work in enumerate(works):
        peak = profile.peak(work.element) if work.name.startswith(_MATRIX) else None
        if work.name.startswith(_READS) and work.bytes_moved == max(reads):
            name, rate = READ, work.bytes_moved / profile.bandwidth_bytes_per_s
        elif peak is not None:
            name, rate = work.element, work.flops / peak.flops_per_s
        else:
            continue
        for share, seconds in zip(shares, np.exp(log_ns[:, column]) / 1e9, strict=True):
            if not np.isnan(seconds):
                share[name] = max(share.get(name, 0.0), float(rate / seconds))
    return shares


def below_datasheet(share: float | None, policy: Policy) -> Finding | None:
    """A finding where a DRAM read is below its floor. Matrix rates have none: a power cap takes a third of
    them from sound boards, and what it takes depends on the model."""
    if share is None or share >= policy.datasheet_floor:
        return None
    text = f"reads memory at {share:.0%} of the datasheet, the floor is {policy.datasheet_floor:.0%}"
    return Finding("below policy", "datasheet", text)
