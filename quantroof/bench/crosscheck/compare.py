"""Compare cases by our timer with the same cases by hardware counters and by a timeline."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median

from quantroof.analysis.case_time import median_ns
from quantroof.bench.crosscheck import ncu
from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.records.lines import Measurement

TIME_LIMIT_S = 600.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """Our median and the witness's. A case of one kernel is compared with the counters, one of several with
    the timeline, because counters serialize kernels that overlap. Times in ns, traffic in bytes per call."""

    case: str
    kernel: str
    ours_ns: float
    witness_ns: float
    witness: str
    kernels: int
    counted_bytes: int
    dram_bytes: float | None

    @property
    def time_difference(self) -> float:
        """(ours - witness) / witness."""
        return self.ours_ns / self.witness_ns - 1

    @property
    def bytes_difference(self) -> float | None:
        """(counted - DRAM) / DRAM, None if the counters gave no traffic."""
        return None if not self.dram_bytes else self.counted_bytes / self.dram_bytes - 1


@dataclass(frozen=True, slots=True)
class WitnessResult:
    """One case by a witness: time in ns, DRAM traffic where it was counted, kernels per call."""

    witness: str
    time_ns: float
    kernels: int
    dram_bytes: float | None = None


def cross_check(
    lines: Sequence[Measurement], device_index: int, *, timeline: bool = False, limit_s: float = TIME_LIMIT_S
) -> list[Agreement]:
    """Run the counters on measured cases of one device, and the timeline for calls of several kernels.

    With `timeline` alone: where there are no counters. A case that no witness could run is left out; its
    reason stands on standard error. EnvironmentMissing if the witness itself is not here or refuses.
    """
    timed = [line for line in lines if line.timing is not None]
    results: list[WitnessResult | None] = [None] * len(timed)
    if not timeline:
        results = _counters(timed, device_index, limit_s)
    again = [i for i, one in enumerate(results) if timeline or (one is not None and one.kernels > 1)]
    if again:
        spans = _timeline([timed[i] for i in again], device_index, limit_s)
        for i, span in zip(again, spans, strict=True):
            counted = results[i]
            if span is not None:
                results[i] = replace(span, dram_bytes=counted.dram_bytes if counted else None)
    pairs = zip(timed, results, strict=True)
    return [_agreement(line, result) for line, result in pairs if result is not None]


def _agreement(line: Measurement, result: WitnessResult) -> Agreement:
    assert line.timing is not None, "only timed lines are checked"
    return Agreement(
        case=line.case,
        kernel=line.kernel,
        ours_ns=median_ns(line.timing),
        witness_ns=result.time_ns,
        witness=result.witness,
        kernels=result.kernels,
        counted_bytes=line.bytes_moved,
        dram_bytes=result.dram_bytes,
    )


def _named(lines: Sequence[Measurement]) -> list[tuple[str, str]]:
    return [(line.case, line.kernel) for line in lines]


def _counters(lines: Sequence[Measurement], device_index: int, limit_s: float) -> list[WitnessResult | None]:
    command = ncu.command(_named(lines), device_index)
    if shutil.which(command[0]) is None:
        raise EnvironmentMissing("ncu is not on the PATH", hint="--timeline works without it")
    try:
        launches = ncu.by_case(ncu.launches(_run(command, "Nsight Compute", limit_s)))
    except UsageError as error:  # no table: no permission, or a version too old for this GPU
        raise EnvironmentMissing(error.what, hint=error.hint) from None
    if len(launches) != len(lines):
        raise EnvironmentMissing(f"Nsight Compute saw {len(launches)} of {len(lines)} cases")
    return [_counted(line, one) for line, one in zip(lines, launches, strict=True)]


def _counted(line: Measurement, launches: list[ncu.Launch]) -> WitnessResult | None:
    if not launches:
        return None
    try:
        counted = ncu.per_call(launches, ncu.CALLS)
    except UsageError as error:
        print(f"{line.case} {line.kernel}: {error}", file=sys.stderr)
        return None
    return WitnessResult("counters", counted.time_ns, counted.kernels, counted.dram_bytes)


def _timeline(lines: Sequence[Measurement], device_index: int, limit_s: float) -> list[WitnessResult | None]:
    text = _run(ncu.single(_named(lines), device_index, "--timeline"), "the timeline", limit_s)
    answer = next((row for row in reversed(text.splitlines()) if row.startswith('{"cases"')), None)
    if answer is None:
        raise EnvironmentMissing("the timeline failed", hint="; ".join(text.strip().splitlines()[-1:]))
    return [
        None if case is None else WitnessResult("timeline", median(case["spans_ns"]), case["kernels"])
        for case in json.loads(answer)["cases"]
    ]


def _run(command: list[str], what: str, limit_s: float) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False)
    except subprocess.TimeoutExpired:
        raise EnvironmentMissing(f"{what} took longer than {limit_s:.0f} s") from None
    sys.stderr.write(done.stderr)
    return done.stdout + done.stderr
