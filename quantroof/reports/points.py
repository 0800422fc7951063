"""Measurements as points of a roofline: times with intervals, rates, shares of the roof."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from quantroof.hwprofiles import roofline
from quantroof.kernels.cases import Case
from quantroof.records.lines import Flag, Measurement, Status, parsed_case
from quantroof.records.roofs import Roofs, roof_flag
from quantroof.records.statistics import Interval, median_interval

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement with what follows from it. `time` is in ns, None for a case that was not timed.

    `roof_ns` and `datasheet_ns` are the shortest times that the measured and the vendor's roofs allow;
    `sized_roof_ns` reads the bandwidth off the measured curve at the case's own number of bytes.
    """

    measurement: Measurement
    case: Case
    time: Interval | None
    bound: roofline.Bound | None
    roof_ns: float | None
    datasheet_ns: float | None
    sized_roof_ns: float | None
    flags: tuple[Flag, ...]

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
        """Achieved operations a second."""
        return None if self.time is None else self.measurement.flops / self.time.median * 1e9

    @property
    def bytes_per_s(self) -> float | None:
        """Achieved compulsory bytes a second."""
        return None if self.time is None else self.measurement.bytes_moved / self.time.median * 1e9

    @property
    def roof_fraction(self) -> float | None:
        """Share of the measured roof that was reached."""
        return None if self.time is None or self.roof_ns is None else self.roof_ns / self.time.median

    @property
    def datasheet_fraction(self) -> float | None:
        """Share of the datasheet's roof that was reached."""
        return (
            None if self.time is None or self.datasheet_ns is None else self.datasheet_ns / self.time.median
        )

    @property
    def layer(self) -> tuple[int, int]:
        """(N, K) of the weight."""
        return self.case.n, self.case.k


def point(
    measurement: Measurement, measured: Roofs, datasheet: Roofs | None, sized_bandwidth: float | None
) -> Point:
    """Judge one measurement by the roofs of its device.

    `sized_bandwidth` is the read bandwidth in bytes/s at this case's size, None where no curve was measured.
    """
    case = parsed_case(measurement.case)
    flag = roof_flag(measurement, measured)
    sized = None
    if sized_bandwidth is not None:
        at_size = replace(measured, bandwidth={**measured.bandwidth, "read": sized_bandwidth})
        sized = _ns(at_size.seconds(case))
    return Point(
        measurement=measurement,
        case=case,
        time=median_interval(measurement.timing.samples_ns) if measurement.timing else None,
        bound=measured.bound(case) or (datasheet.bound(case) if datasheet else None),
        roof_ns=_ns(measured.seconds(case)),
        datasheet_ns=_ns(datasheet.seconds(case)) if datasheet else None,
        sized_roof_ns=sized,
        flags=(*measurement.flags, *([flag] if flag and not _carries(measurement, flag) else ())),
    )


def _carries(measurement: Measurement, flag: Flag) -> bool:
    return any(own.code == flag.code for own in measurement.flags)


def _ns(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e9


def row(entry: Point, run: str) -> dict[str, Any]:
    """One flat record of a point, as exports and tables have it; absent values are None."""
    m, time, state = entry.measurement, entry.time, entry.measurement.state
    return {
        "run": run,
        "device": m.device,
        "scheme": entry.case.scheme,
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
        "flops": m.flops,
        "bytes": m.bytes_moved,
        "flops_per_byte": entry.intensity,
        "flops_per_s": entry.flops_per_s,
        "bytes_per_s": entry.bytes_per_s,
        "bound": entry.bound,
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
