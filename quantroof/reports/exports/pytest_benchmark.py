"""The JSON of pytest-benchmark for its compare command, in seconds."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

from quantroof import __version__
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import Point
from quantroof.reports.exports.documents import write_document

_FORMAT_VERSION = "5.1.0"  # the oldest pytest-benchmark we ask for; its reader does not depend on it


def document(devices: list[DeviceResults]) -> dict[str, Any]:
    """One benchmark per timed measurement; the group is the case, so kernels stand side by side."""
    first = devices[0].run.info if devices else None
    return {
        "machine_info": {
            "node": (first.host.name or "") if first else "",
            "quantroof_version": __version__,
            "devices": [results.device.name for results in devices],
            "simulated": bool(first and first.simulated),
        },
        "commit_info": {"id": first.git if first else None},
        "benchmarks": [_benchmark(results, point) for results in devices for point in results.timed],
        "datetime": first.started_at if first else "",
        "version": _FORMAT_VERSION,
    }


def write(devices: list[DeviceResults], target: Path) -> None:
    """Write the document."""
    write_document(document(devices), target)


def _benchmark(results: DeviceResults, point: Point) -> dict[str, Any]:
    m = point.measurement
    assert m.timing is not None
    name = f"{m.kernel}[{results.label}/{m.case}]"
    return {
        "group": m.case,
        "name": name,
        "fullname": f"quantroof::{name}",
        "params": {"device": results.label, "case": m.case, "kernel": m.kernel},
        "param": m.case,
        "extra_info": {"flops": m.flops, "bytes": m.bytes_moved, "status": m.status},
        "options": {"disable_gc": False, "timer": m.timing.method, "min_rounds": len(m.timing.samples_ns)},
        "stats": _stats([sample / 1e9 for sample in m.timing.samples_ns], m.timing.calls_per_sample),
    }


def _stats(seconds: list[float], calls: int) -> dict[str, Any]:
    ordered = sorted(seconds)
    low, _, high = statistics.quantiles(ordered, method="inclusive") if len(ordered) > 1 else ordered * 3
    center, mean = statistics.median(ordered), statistics.fmean(ordered)
    spread = statistics.stdev(ordered) if len(ordered) > 1 else 0.0
    fence = 1.5 * (high - low)
    within = [value for value in ordered if low - fence <= value <= high + fence]
    outliers = sum(abs(value - mean) > spread for value in ordered)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": spread,
        "rounds": len(ordered),
        "median": center,
        "iqr": high - low,
        "q1": low,
        "q3": high,
        "iqr_outliers": len(ordered) - len(within),
        "stddev_outliers": outliers,
        "outliers": f"{outliers};{len(ordered) - len(within)}",
        "ld15iqr": within[0],
        "hd15iqr": within[-1],
        "ops": 1 / mean,
        "total": math.fsum(ordered),
        "data": seconds,
        "iterations": calls,
    }
