"""The roofs over a case: which bandwidth and which matrix rate bound it, by datasheet and as measured."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from quantroof.analysis.case_time import case_time, grouped, median_ns
from quantroof.hwprofiles import roofline
from quantroof.hwprofiles.types import HardwareProfile
from quantroof.kernels.cases import Case
from quantroof.records.lines import TIMED, Ceiling, Measurement, parsed_case

RoofBasis = Literal["measured", "datasheet"]

RAISABLE = 1.2
"""How far a case may raise a matrix ceiling; beyond this and the datasheet it did not do its work."""
READ = "read"
"""The bandwidth ceiling that a linear layer is judged by: it reads nearly all of its bytes."""


@dataclass(frozen=True, slots=True)
class Roofs:
    """Bandwidths (bytes/s, by name) and dense matrix rates (operations/s, by element) of one device."""

    basis: RoofBasis
    bandwidth: dict[str, float] = field(default_factory=dict)
    matrix: dict[str, float] = field(default_factory=dict)
    raised: dict[str, str] = field(default_factory=dict)
    """Elements whose matrix ceiling a case of the suite beat: that case and kernel became the ceiling."""
    beaten: dict[str, float] = field(default_factory=dict)
    """The ceilings that these elements had before."""

    def library(self) -> Roofs:
        """The roofs without what cases of the suite raised."""
        return replace(self, matrix={**self.matrix, **self.beaten}, raised={}, beaten={})

    def multiplying(self, case: Case, element: str | None) -> Roofs:
        """The roofs for a kernel that multiplies a case in another element: emulation has no native roof."""
        if element is None or element == case.compute.name:
            return self
        matrix = {name: rate for name, rate in self.matrix.items() if name != case.compute.name}
        if element in self.matrix:
            matrix[case.compute.name] = self.matrix[element]
        return replace(self, matrix=matrix)

    def read_bandwidth(self) -> float | None:
        """The bandwidth a linear layer is judged by: it reads nearly all of its bytes."""
        return self.bandwidth.get(READ)

    def seconds(self, case: Case) -> float | None:
        """Shortest time these roofs allow for a case, or None if one of them is unknown."""
        bandwidth, rate = self.read_bandwidth(), self.rate(case)
        if bandwidth is None or rate is None:
            return None
        return roofline.attainable_seconds(case.flops, case.bytes_moved, rate, bandwidth)

    def bound(self, case: Case) -> roofline.Bound | None:
        """Which of these roofs the case meets first."""
        bandwidth, rate = self.read_bandwidth(), self.rate(case)
        if bandwidth is None or rate is None:
            return None
        return roofline.bound(case.flops, case.bytes_moved, rate, bandwidth)

    def share(self, case: Case, ns: float) -> float | None:
        """Share of its roof that a case reaches in this time; None if a roof is unknown."""
        attainable = self.seconds(case)
        return None if attainable is None else attainable * 1e9 / ns

    def rate(self, case: Case) -> float | None:
        """The matrix rate over a case; what multiplies nothing is bound by memory alone."""
        if case.operation in ("act_quant", "dequantize") or not case.flops:
            return math.inf
        return self.matrix.get(case.compute.name)


def measured_roofs(
    device: str,
    ceilings: Iterable[Ceiling],
    measurements: Iterable[Measurement] = (),
    profile: HardwareProfile | None = None,
) -> Roofs:
    """Best measured rate of every ceiling of a device.

    A correct measurement above the best library GEMM is a finding: it becomes the matrix ceiling, with its
    case and kernel as the source, up to RAISABLE or to the datasheet. A bandwidth is never raised so: a GEMV
    above the read ceiling is an error.
    """
    bandwidth: dict[str, float] = {}
    matrix: dict[str, float] = {}
    for ceiling in ceilings:
        table = {"bandwidth": bandwidth, "matrix": matrix}.get(ceiling.quantity)
        reached = ceiling_rate(ceiling) if ceiling.device == device else None
        if reached is not None and table is not None:
            table[ceiling.name] = max(table.get(ceiling.name, reached), reached)
    raised: dict[str, str] = {}
    library = dict(matrix)
    sheet = datasheet_roofs(profile).matrix if profile else {}
    for line in measurements:
        if line.device != device or line.timing is None:
            continue
        element = line.element
        reached = line.flops / (median_ns(line.timing) / 1e9)
        if element not in matrix or reached <= matrix[element]:
            continue
        if reached <= RAISABLE * library[element] or reached <= sheet.get(element, library[element]):
            matrix[element], raised[element] = reached, f"{line.case} {line.kernel}"
    beaten = {element: library[element] for element in raised}
    return Roofs("measured", bandwidth, matrix, raised, beaten)


def ceiling_rate(ceiling: Ceiling) -> float | None:
    """Bytes/s or operations/s of one ceiling, None if it was not timed."""
    if ceiling.status not in TIMED or ceiling.timing is None or ceiling.amount is None:
        return None
    return ceiling.amount / (median_ns(ceiling.timing) / 1e9)


def datasheet_roofs(profile: HardwareProfile) -> Roofs:
    """The vendor's dense figures. A datasheet has one bandwidth, for reads and writes alike."""
    bandwidth = profile.bandwidth_bytes_per_s
    matrix = {p.element: p.flops_per_s for p in profile.peaks if profile.peak(p.element) is p}
    for element in ("mxfp4", "nvfp4"):
        if "fp4" in matrix:  # a vendor's "FP4" is its block-scaled rate
            matrix.setdefault(element, matrix["fp4"])
    if "fp4" in matrix and "fp8_e4m3" in matrix:  # tcgen05 and mma.sync of Blackwell: one rate for both
        matrix.setdefault("mxfp8", matrix["fp8_e4m3"])
    return Roofs("datasheet", {"read": bandwidth, "write": bandwidth, "copy": bandwidth}, matrix)


def best_roof_shares(lines: Iterable[Measurement], roofs: Roofs) -> dict[str, tuple[str, float]]:
    """By case, its fastest kernel and the share of the roof that this kernel reached."""
    best: dict[str, tuple[str, float]] = {}
    for (_, case, kernel), group in grouped(lines).items():
        time = case_time(group)
        own = roofs.multiplying(parsed_case(case), group[0].computes)
        share = None if time is None else own.share(parsed_case(case), time.interval.median)
        if share is not None and (case not in best or share > best[case][1]):
            best[case] = kernel, share
    return best
