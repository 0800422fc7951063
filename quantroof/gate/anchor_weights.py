"""Which anchor a case follows: the GEMM, the copy or both evenly, by where it lies under the roofs."""

from __future__ import annotations

from typing import Literal

from quantroof.analysis.roofs import Roofs, datasheet_roofs, measured_roofs
from quantroof.gate.times import RunTimes
from quantroof.hwprofiles.roofline import arithmetic_intensity, ridge_point
from quantroof.kernels.cases import Case
from quantroof.records.lines import AnchorName, parsed_case

_EVEN = (1 / 3, 2 / 3)  # a case whose compute time is this share of compute + memory time follows both

Weights = dict[AnchorName, float]
Follows = Literal["gemm", "copy", "both"]


class AnchorWeights:
    """Weighs the anchors for every case of a run: by measured roofs, else by datasheet, else by anchors."""

    def __init__(self, times: RunTimes) -> None:
        device = times.device.id
        self._measured = measured_roofs(device, times.run.ceilings)
        profile = times.run.info.profiles.get(device)
        self._datasheet = None if profile is None else datasheet_roofs(profile)
        self._anchors = _anchor_roofs(times)

    def weights(self, case_id: str) -> Weights:
        """Weights that add up to 1; the copy's alone where nothing is known of the case's roofs."""
        case = parsed_case(case_id)
        for roofs in (self._measured, self._datasheet, self._anchors):
            share = None if roofs is None else _compute_share(case, roofs)
            if share is not None:
                return weights_of(share)
        return {"copy": 1.0}


def weights_of(compute_share: float) -> Weights:
    """Snap a share to one anchor or to both: in between nobody knows how a kernel divides its time."""
    if compute_share < _EVEN[0]:
        return {"copy": 1.0}
    return {"gemm": 1.0} if compute_share > _EVEN[1] else {"gemm": 0.5, "copy": 0.5}


def follows_of(weights: Weights) -> Follows:
    """The weights as one word."""
    return "both" if len(weights) == 2 else next(iter(weights))


def _compute_share(case: Case, roofs: Roofs) -> float | None:
    rate = roofs.matrix.get(case.compute.name) or roofs.matrix.get("any")
    bandwidth = roofs.read_bandwidth()
    if rate is None or bandwidth is None:
        return None
    intensity = arithmetic_intensity(case.flops, case.bytes_moved)
    return intensity / (intensity + ridge_point(rate, bandwidth))


def _anchor_roofs(times: RunTimes) -> Roofs | None:
    """What the anchors themselves reached; the GEMM's rate then stands for every element."""
    best: dict[str, float] = {}
    for anchor in times.run.anchors:
        amount = anchor.flops or anchor.bytes_moved
        if anchor.device == times.device.id and anchor.timing is not None and amount:
            rate = amount / min(anchor.timing.samples_ns) * 1e9
            best[anchor.name] = max(best.get(anchor.name, 0.0), rate)
    if set(best) != {"gemm", "copy"}:
        return None
    return Roofs("measured", {"read": best["copy"]}, {"any": best["gemm"]})
