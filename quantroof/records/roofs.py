"""The roofs over a case: which bandwidth and which matrix rate bound it, by datasheet and as measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Literal

from quantroof.hwprofiles import roofline
from quantroof.hwprofiles.types import HardwareProfile
from quantroof.kernels.cases import Case
from quantroof.records.lines import TIMED, Ceiling, Flag, Measurement, parsed_case

Basis = Literal["measured", "datasheet"]

_READ = "read"
# Noise of a ceiling and of a case together; a point this little above its roof is within what two
# processes on one machine differ by.
ROOF_MARGIN = 0.05


@dataclass(frozen=True, slots=True)
class Roofs:
    """Bandwidths (bytes/s, by name) and dense matrix rates (operations/s, by element) of one device."""

    basis: Basis
    bandwidth: dict[str, float] = field(default_factory=dict)
    matrix: dict[str, float] = field(default_factory=dict)

    def read_bandwidth(self) -> float | None:
        """The bandwidth a linear layer is judged by: it reads nearly all of its bytes."""
        return self.bandwidth.get(_READ)

    def seconds(self, case: Case) -> float | None:
        """Shortest time these roofs allow for a case, or None where one of them is unknown."""
        bandwidth, rate = self.read_bandwidth(), self.matrix.get(case.compute.name)
        if bandwidth is None or rate is None:
            return None
        return roofline.attainable_seconds(case.flops, case.bytes_moved, rate, bandwidth)

    def bound(self, case: Case) -> roofline.Bound | None:
        """Which of these roofs the case meets first."""
        bandwidth, rate = self.read_bandwidth(), self.matrix.get(case.compute.name)
        if bandwidth is None or rate is None:
            return None
        return roofline.bound(case.flops, case.bytes_moved, rate, bandwidth)


def measured_roofs(device: str, ceilings: list[Ceiling]) -> Roofs:
    """Best measured rate of every ceiling of a device."""
    bandwidth: dict[str, float] = {}
    matrix: dict[str, float] = {}
    for ceiling in ceilings:
        if ceiling.device != device or ceiling.status not in TIMED or ceiling.timing is None:
            continue
        seconds = median(ceiling.timing.samples_ns) / 1e9
        if ceiling.quantity == "bandwidth" and ceiling.bytes_moved is not None:
            bandwidth[ceiling.name] = max(bandwidth.get(ceiling.name, 0.0), ceiling.bytes_moved / seconds)
        elif ceiling.quantity == "matrix" and ceiling.flops is not None:
            matrix[ceiling.name] = max(matrix.get(ceiling.name, 0.0), ceiling.flops / seconds)
    return Roofs("measured", bandwidth, matrix)


def datasheet_roofs(profile: HardwareProfile) -> Roofs:
    """The vendor's dense figures. A datasheet has one bandwidth, for reads and writes alike."""
    bandwidth = profile.bandwidth_bytes_per_s
    matrix = {p.element: p.flops_per_s for p in profile.peaks if profile.peak(p.element) is p}
    return Roofs("datasheet", {"read": bandwidth, "write": bandwidth, "copy": bandwidth}, matrix)


def roof_fraction(measurement: Measurement, roofs: Roofs) -> float | None:
    """Share of the roof that a measurement reached: attainable time / median time."""
    if measurement.timing is None:
        return None
    attainable = roofs.seconds(parsed_case(measurement.case))
    return None if attainable is None else attainable * 1e9 / median(measurement.timing.samples_ns)


def roof_flag(measurement: Measurement, roofs: Roofs) -> Flag | None:
    """The flag of a measurement above a roof: an error to explain, never clipped."""
    fraction = roof_fraction(measurement, roofs)
    if fraction is None or fraction <= 1 + ROOF_MARGIN:
        return None
    bound = roofs.bound(parsed_case(measurement.case))
    cause = (
        "its bytes came from a cache, or the ceiling was taken in a worse moment"
        if bound == "memory"
        else "the ceiling's library kernel is not the best for this shape, or the clock differed"
    )
    text = f"{fraction:.0%} of the {roofs.basis} {bound} roof: {cause}"
    return Flag(code="above_roof", text=text)
