"""The anchors that a case's time is divided by: the GEMM, the copy or both evenly, by the roof it follows."""

from __future__ import annotations

from typing import Literal

from quantroof.analysis.balance import RoofFollowed, compute_share, compute_share_of, roof_followed
from quantroof.analysis.roofs import datasheet_roofs, measured_roofs
from quantroof.gate.times import RunTimes
from quantroof.records.lines import AnchorName, parsed_case

Weights = dict[AnchorName, float]
Follows = Literal["gemm", "copy", "both"]

_WEIGHTS: dict[RoofFollowed, Weights] = {
    "memory": {"copy": 1.0},
    "compute": {"gemm": 1.0},
    "both": {"gemm": 0.5, "copy": 0.5},
}


class AnchorWeights:
    """Weights of the anchors for the cases of a run: by measured roofs, else by the datasheet, else by
    anchors."""

    def __init__(self, times: RunTimes) -> None:
        device = times.device.id
        profile = times.run.info.profiles.get(device)
        measured = measured_roofs(device, times.run.ceilings)
        self._roofs = [measured] if profile is None else [measured, datasheet_roofs(profile)]
        self._anchors = _anchor_rates(times)
        self._cases = {line.case: line for line in times.run.measurements}

    def weights(self, case_id: str) -> Weights:
        """Weights that add up to 1; the copy alone where the case's roofs are unknown."""
        share = self._compute_share(case_id)
        return _WEIGHTS["memory" if share is None else roof_followed(share)]

    def _compute_share(self, case_id: str) -> float | None:
        line = self._cases.get(case_id)  # the counts of a user's own function are in its record
        case = parsed_case(case_id) if line is None else line.parsed_case
        shares = (compute_share_of(case, roofs) for roofs in self._roofs)
        share = next((share for share in shares if share is not None), None)
        if share is None and self._anchors is not None:
            return compute_share(case.flops, case.bytes_moved, self._anchors["gemm"], self._anchors["copy"])
        return share


def follows_of(weights: Weights) -> Follows:
    """The weights as one word."""
    return "both" if len(weights) == 2 else next(iter(weights))


def _anchor_rates(times: RunTimes) -> dict[AnchorName, float] | None:
    """Operations/s of the GEMM, for any element, and bytes/s of the copy; None if one was not timed."""
    best: dict[AnchorName, float] = {}
    for anchor in times.run.anchors:
        amount = anchor.flops or anchor.bytes_moved
        if anchor.device == times.device.id and anchor.timing is not None and amount:
            rate = amount / min(anchor.timing.samples_ns) * 1e9
            best[anchor.name] = max(best.get(anchor.name, 0.0), rate)
    return best if set(best) == {"gemm", "copy"} else None
