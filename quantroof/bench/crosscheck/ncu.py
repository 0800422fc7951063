"""Nsight Compute as an independent timer: its command line, and figures per call from its CSV."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median

from quantroof.errors import UsageError

TIME, READ, WRITE = "gpu__time_duration.sum", "dram__bytes_read.sum", "dram__bytes_write.sum"
RANGE = "quantroof-profiled"
MARKER = "spin_kernel"  # torch's only named kernel without arguments: it begins every case of a process
CALLS = 10

_SCALE = {
    "ns": 1.0,
    "us": 1e3,
    "usecond": 1e3,
    "nsecond": 1.0,
    "ms": 1e6,
    "msecond": 1e6,
    "s": 1e9,
    "second": 1e9,
    "byte": 1.0,
    "Kbyte": 1e3,
    "Mbyte": 1e6,
    "Gbyte": 1e9,
}


@dataclass(frozen=True, slots=True)
class Launch:
    """One kernel launch by the counters. Time in ns; DRAM traffic in bytes, None if not collected."""

    kernel: str
    time_ns: float
    read_bytes: float | None
    write_bytes: float | None


@dataclass(frozen=True, slots=True)
class Counted:
    """One call by the counters: medians over the calls of a case. `kernels` are launched per call.

    Counters serialize kernels: with several of them the sum of their times is longer than the call, whose
    kernels overlap; only a timeline shows first start to last end.
    """

    time_ns: float
    dram_bytes: float | None
    kernels: int


def command(cases: Sequence[tuple[str, str]], device_index: int, calls: int = CALLS) -> list[str]:
    """The Nsight Compute line that profiles the calls of (case, kernel)s, with clocks and caches as they are.

    All in one process: starting CUDA under the profiler takes longer than a case does.
    """
    return [
        "ncu",
        "--clock-control",
        "none",
        "--cache-control",
        "none",
        "--nvtx",
        "--nvtx-include",
        f"{RANGE}/",
        "--metrics",
        f"{TIME},{READ},{WRITE}",
        "--csv",
        *single(cases, device_index, "--calls", str(calls)),
    ]


def single(cases: Sequence[tuple[str, str]], device_index: int, *options: str) -> list[str]:
    """The line that runs cases by themselves."""
    named = [text for case in cases for text in case]
    index = ("--index", str(device_index))
    return [sys.executable, "-P", "-m", "quantroof.bench.crosscheck.single", *named, *index, *options]


def launches(text: str) -> list[Launch]:
    """Kernel launches from the CSV that ncu prints among its own messages, in launch order."""
    table = [line for line in text.splitlines() if line.startswith('"') and line.endswith('"')]
    if not table:
        raise UsageError("Nsight Compute printed no table", hint=_complaint(text))
    found: dict[str, dict[str, float]] = {}
    names: dict[str, str] = {}
    for row in csv.DictReader(table):
        names[row["ID"]] = row["Kernel Name"]
        found.setdefault(row["ID"], {})[row["Metric Name"]] = _number(row["Metric Value"], row["Metric Unit"])
    return [
        Launch(names[key], metrics[TIME], metrics.get(READ), metrics.get(WRITE))
        for key, metrics in found.items()
        if TIME in metrics
    ]


def by_case(found: list[Launch]) -> list[list[Launch]]:
    """Launches of each case of a process, which a marker begins; a case that failed has none."""
    cases: list[list[Launch]] = []
    for launch in found:
        if MARKER in launch.kernel:
            cases.append([])
        elif cases:
            cases[-1].append(launch)
    return cases


def per_call(found: list[Launch], calls: int) -> Counted:
    """Group launches into calls: every call launches the same kernels in the same order."""
    if not found or len(found) % calls:
        raise UsageError(f"{len(found)} launches do not divide into {calls} equal calls")
    size = len(found) // calls
    groups = [found[i : i + size] for i in range(0, len(found), size)]
    return Counted(
        time_ns=median(sum(launch.time_ns for launch in group) for group in groups),
        dram_bytes=_median_bytes(groups),
        kernels=size,
    )


def _median_bytes(groups: Iterable[list[Launch]]) -> float | None:
    sums = []
    for group in groups:
        parts = [(launch.read_bytes, launch.write_bytes) for launch in group]
        if any(read is None for read, _ in parts):
            return None
        sums.append(sum((read or 0.0) + (write or 0.0) for read, write in parts))
    return median(sums)


def _number(value: str, unit: str) -> float:
    if unit not in _SCALE:
        raise UsageError(f"Nsight Compute printed '{value} {unit}', a unit that quantroof does not know")
    return float(value.replace(",", "")) * _SCALE[unit]


def _complaint(text: str) -> str | None:
    errors = [line.removeprefix("==ERROR== ") for line in text.splitlines() if line.startswith("==ERROR==")]
    return errors[0] if errors else None
