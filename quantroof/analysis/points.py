"""Measurements as points of a roofline: times with intervals, rates, and shares of the roof."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from quantroof.analysis.case_time import IntervalBasis, case_time
from quantroof.analysis.roofs import Roofs
from quantroof.analysis.statistics import Interval
from quantroof.hwprofiles import roofline
from quantroof.hwprofiles.native import overall
from quantroof.kernels.cases import Case
from quantroof.records.lines import Flag, Measurement, Status

Arithmetic = Literal["native", "emulated", "unpack"]

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class CaseRoofs:
    """What the roofs of a device allow one case, the same for every kernel that multiplies it in one element.

    `roof_ns` and `datasheet_ns` are the shortest times that the measured and the vendor's roofs allow;
    `sized_roof_ns` reads the bandwidth off the measured curve at the case's own number of bytes.
    """

    scheme: str
    bound: roofline.Bound | None
    arithmetic: Arithmetic | None
    roof_ns: float | None
    datasheet_ns: float | None
    sized_roof_ns: float | None


@dataclass(frozen=True, slots=True)
class Point:
    """One case and kernel with what follows from it. `time` is in ns, None for a case that was not timed;
    `basis` states whether its interval is one of processes or of one process's samples.
    """

    measurement: Measurement
    case: Case
    time: Interval | None
    basis: IntervalBasis | None
    roofs: CaseRoofs
    flags: tuple[Flag, ...]

    @property
    def scheme(self) -> str:
        """The scheme's name, as `Case.scheme` gives it."""
        return self.roofs.scheme

    @property
    def status(self) -> Status:
        """The measurement's status."""
        return self.measurement.status

    @property
    def intensity(self) -> float:
        """Operations per byte of compulsory traffic."""
        return roofline.arithmetic_intensity(self.measurement.flops, self.measurement.bytes_moved)

    @property
    def flops_per_s(self) -> float | None:
        """Achieved operations per second."""
        return None if self.time is None else self.measurement.flops / self.time.median * 1e9

    @property
    def bytes_per_s(self) -> float | None:
        """Achieved compulsory bytes per second."""
        return None if self.time is None else self.measurement.bytes_moved / self.time.median * 1e9

    @property
    def roof_fraction(self) -> float | None:
        """Share of the measured roof that was reached."""
        return self._share(self.roofs.roof_ns)

    @property
    def datasheet_fraction(self) -> float | None:
        """Share of the datasheet's roof that was reached."""
        return self._share(self.roofs.datasheet_ns)

    @property
    def sized_fraction(self) -> float | None:
        """Share of the roof that was reached, with the bandwidth measured at this number of bytes."""
        return self._share(self.roofs.sized_roof_ns)

    def _share(self, allowed_ns: float | None) -> float | None:
        return None if self.time is None or allowed_ns is None else allowed_ns / self.time.median

    @property
    def layer(self) -> tuple[int, int]:
        """(N, K) of the weight."""
        return self.case.n, self.case.k


def arithmetic(case: Case, compute_capability: str | None, computes: str | None = None) -> Arithmetic | None:
    """How a product is computed there, by the machine code of its architecture; None if it is unknown.

    Weights of another element than the multiplier's are unpacked first, whatever the instruction is.
    `computes` is the element that a kernel multiplies in, if it is not the case's.
    """
    if case.operation not in ("gemv", "gemm"):
        return None
    if computes not in (None, case.compute.name):
        return "emulated"
    if case.weight.element is not case.compute:
        return "unpack"
    verdict = overall(case.compute.name, compute_capability) if compute_capability else None
    return verdict if verdict in ("native", "emulated") else None


def case_roofs(
    case: Case,
    measured: Roofs,
    datasheet: Roofs | None,
    sized_bandwidth: float | None,
    compute_capability: str | None = None,
    computes: str | None = None,
) -> CaseRoofs:
    """What the roofs of a device allow a case.

    `sized_bandwidth` is the read bandwidth in bytes/s at this case's size, None if no curve was measured.
    """
    measured = measured.multiplying(case, computes)
    datasheet = datasheet and datasheet.multiplying(case, computes)
    sized = None
    if sized_bandwidth is not None:
        at_size = replace(measured, bandwidth={**measured.bandwidth, "read": sized_bandwidth})
        sized = _ns(at_size.seconds(case))
    return CaseRoofs(
        scheme=case.scheme,
        bound=measured.bound(case) or (datasheet.bound(case) if datasheet else None),
        arithmetic=arithmetic(case, compute_capability, computes),
        roof_ns=_ns(measured.seconds(case)),
        datasheet_ns=_ns(datasheet.seconds(case)) if datasheet else None,
        sized_roof_ns=sized,
    )


def representative(lines: Sequence[Measurement]) -> Measurement:
    """The line that stands for all processes of a case and kernel: the first with a time, else the first."""
    return next((line for line in lines if line.timing is not None), lines[0])


def point(lines: Sequence[Measurement], roofs: CaseRoofs, guard: tuple[Flag, ...] = ()) -> Point:
    """All lines of one case and kernel as one point; `guard` holds the flags of their representative."""
    measurement = representative(lines)
    time = case_time(lines)
    return Point(
        measurement=measurement,
        case=measurement.parsed_case,
        time=None if time is None else time.interval,
        basis=None if time is None else time.basis,
        roofs=roofs,
        flags=(*_distinct(lines), *guard),
    )


def _distinct(lines: Sequence[Measurement]) -> tuple[Flag, ...]:
    """The flags of all processes, one per code."""
    return tuple({flag.code: flag for line in lines for flag in line.flags}.values())


def _ns(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e9


def row(entry: Point, run: str) -> dict[str, Any]:
    """One flat record of a point, as exports and tables have it; absent values are None."""
    m, time, state = entry.measurement, entry.time, entry.measurement.state
    return {
        "run": run,
        "device": m.device,
        "scheme": entry.scheme,
        "kernel": m.kernel,
        "provider": m.provider,
        "operation": entry.case.operation,
        "m": entry.case.m,
        "n": entry.case.n,
        "k": entry.case.k,
        "status": m.status,
        "median_ns": time and time.median,
        "low_ns": time and time.low,
        "high_ns": time and time.high,
        "samples": time and time.samples,
        "interval_of": entry.basis,
        "flops": m.flops,
        "bytes": m.bytes_moved,
        "flops_per_byte": entry.intensity,
        "flops_per_s": entry.flops_per_s,
        "bytes_per_s": entry.bytes_per_s,
        "bound": entry.roofs.bound,
        "roof_fraction": entry.roof_fraction,
        "datasheet_fraction": entry.datasheet_fraction,
        "frobenius_error": m.accuracy and m.accuracy.frobenius,
        "format_error": m.accuracy and m.accuracy.format_frobenius,
        "sm_clock_mhz": state and state.sm_clock_mhz,
        "temperature_c": state and state.temperature_c,
        "power_w": state and state.power_w,
        "flags": " ".join(flag.code for flag in entry.flags),
        "reason": m.reason,
        "case": m.case,
    }


def frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows of `row` as a table, with nullable integer and float columns."""
    import pandas as pd

    return pd.DataFrame(rows).convert_dtypes() if rows else pd.DataFrame()
