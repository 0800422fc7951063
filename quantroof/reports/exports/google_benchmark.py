"""The JSON of Google Benchmark, for its compare.py and for what charts it: every sample is one repetition, in
nanoseconds, and mean, median, standard deviation and its share of the mean follow as aggregates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from quantroof.analysis.device_results import DeviceResults
from quantroof.records.lines import Measurement
from quantroof.reports.exports.documents import benchmark_name, write_document


def document(devices: list[DeviceResults]) -> dict[str, Any]:
    """Context, an entry per repetition, which is what compare.py's U test reads, and the aggregates."""
    first = devices[0].run.info if devices else None
    context = {
        "date": first.started_at if first else "",
        "host_name": (first.host.name or "") if first else "",
        "executable": " ".join(first.command) if first else "",
        "num_cpus": next((s.device.cpu.usable_cores for s in devices if s.device.cpu), 0),
        "mhz_per_cpu": 0,
        "cpu_scaling_enabled": False,
        "library_build_type": "release",
        "devices": ", ".join(results.device.name for results in devices),
        "simulated": str(bool(first and first.simulated)).lower(),
    }
    entries = [
        entry
        for family, (results, point) in enumerate((s, p) for s in devices for p in s.timed)
        for entry in _entries(benchmark_name(results, point), family, point.measurement)
    ]
    return {"context": context, "benchmarks": entries}


def write(devices: list[DeviceResults], target: Path) -> None:
    """Write the document."""
    write_document(document(devices), target)


def _entries(name: str, family: int, m: Measurement) -> Iterator[dict[str, Any]]:
    assert m.timing is not None
    samples = m.timing.samples_ns
    common = {
        "run_name": name,
        "family_index": family,
        "per_family_instance_index": 0,
        "repetitions": len(samples),
        "threads": 1,
    }
    for index, sample in enumerate(samples):
        yield {
            **common,
            "name": name,
            "run_type": "iteration",
            "repetition_index": index,
            "iterations": m.timing.calls_per_sample,
            **_times(sample),
            "bytes_per_second": m.bytes_moved / sample * 1e9,
            "items_per_second": m.flops / sample * 1e9,
        }
    if len(samples) > 1:
        for word, value in _aggregates(samples).items():
            yield {
                **common,
                "name": f"{name}_{word}",
                "run_type": "aggregate",
                "aggregate_name": word,
                "aggregate_unit": "percentage" if word == "cv" else "time",
                "iterations": len(samples),
                **_times(value),
            }


def _aggregates(samples: Sequence[float]) -> dict[str, float]:
    """Google Benchmark's own, in its order; `cv` is the standard deviation as a share of the mean."""
    mean, spread = fmean(samples), stdev(samples)
    return {"mean": mean, "median": median(samples), "stddev": spread, "cv": spread / mean}


def _times(value: float) -> dict[str, Any]:
    return {"real_time": value, "cpu_time": value, "time_unit": "ns"}
