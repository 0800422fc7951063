"""Documents for tools that chart times over commits: one entry per device, kernel and case, in nanoseconds.

github-action-benchmark (`tool: customSmallerIsBetter`), Bencher's Metric Format, and the records of PyTorch's
OSS benchmark database. A time is the median with its 95 % interval, as everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import Point
from quantroof.analysis.statistics import Interval
from quantroof.reports.exports.documents import benchmark_name, write_document


def github_action_benchmark(devices: list[DeviceResults]) -> list[dict[str, Any]]:
    """The array that `customSmallerIsBetter` reads; `range` and `extra` are its tooltip."""
    return [
        {
            "name": benchmark_name(results, point),
            "unit": "ns",
            "value": time.median,
            "range": f"{time.low:.6g} to {time.high:.6g} (95 %, of {point.basis})",
            "extra": "\n".join(_remarks(results, point)),
        }
        for results, point, time in _timed(devices)
    ]


def bencher(devices: list[DeviceResults]) -> dict[str, Any]:
    """Measures by benchmark; the interval's ends are the bounds that Bencher draws."""
    return {
        benchmark_name(results, point): {
            "latency": {"value": time.median, "lower_value": time.low, "upper_value": time.high}
        }
        for results, point, time in _timed(devices)
    }


def pytorch_benchmark(devices: list[DeviceResults]) -> list[dict[str, Any]]:
    """Records of the database's schema 3, whose maps hold text; its workflow adds commit and runner."""
    return [
        {
            "benchmark": {
                "name": "quantroof",
                "mode": results.run.info.options.mode,
                "dtype": point.scheme,
                "extra_info": {
                    "device": results.device.kind,
                    "arch": results.device.name,
                    "cache": results.run.info.options.cache,
                    "simulated": str(results.run.info.simulated).lower(),
                },
            },
            "model": {
                "name": point.measurement.case,
                "type": point.case.operation,
                "backend": point.measurement.kernel,
            },
            "metric": {
                "name": name,
                "benchmark_values": [value],
                "extra_info": {"low": f"{low:.9g}", "high": f"{high:.9g}", "interval_of": str(point.basis)},
            },
        }
        for results, point, time in _timed(devices)
        for name, value, low, high in _metrics(point, time)
    ]


def _timed(devices: list[DeviceResults]) -> Iterator[tuple[DeviceResults, Point, Interval]]:
    for results in devices:
        for point in results.timed:
            if point.time is not None:
                yield results, point, point.time


def _remarks(results: DeviceResults, point: Point) -> Iterator[str]:
    if results.run.info.simulated:
        yield "SIMULATED: no device was measured"
    yield results.device.name
    if point.roof_fraction is not None:
        yield f"{point.roof_fraction:.1%} of the measured roof"


def _metrics(point: Point, time: Interval) -> Iterator[tuple[str, float, float, float]]:
    """Name, value and the ends of its interval; the faster end of a time is the higher end of a share."""
    yield "latency_ns", time.median, time.low, time.high
    if (share := point.roof_fraction) is not None:
        yield "roof_fraction", share, share * time.median / time.high, share * time.median / time.low


def write_github_action_benchmark(devices: list[DeviceResults], target: Path) -> None:
    """Write the array."""
    write_document(github_action_benchmark(devices), target)


def write_bencher(devices: list[DeviceResults], target: Path) -> None:
    """Write the measures."""
    write_document(bencher(devices), target)


def write_pytorch_benchmark(devices: list[DeviceResults], target: Path) -> None:
    """Write the records."""
    write_document(pytorch_benchmark(devices), target)
