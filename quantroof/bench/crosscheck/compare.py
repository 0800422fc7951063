"""Compare cases by our timer with the same cases by hardware counters and by a timeline."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from statistics import median

from quantroof.analysis.case_time import median_ns
from quantroof.bench.crosscheck import ncu
from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.kernels.cases import Case
from quantroof.records.lines import Measurement

TIME_LIMIT_S = 600.0
_LAST_CASE_S = 15.0


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


def round_robin(lines: Sequence[Measurement]) -> list[Measurement]:
    """Every kernel once before any of them twice: first at the smallest M, there on the largest layer."""
    turns: Counter[str] = Counter()
    keyed = []
    for line in sorted(lines, key=lambda m: (Case.parse(m.case).m, -m.bytes_moved)):
        keyed.append((turns[line.kernel], line))
        turns[line.kernel] += 1
    return [line for _, line in sorted(keyed, key=lambda pair: pair[0])]


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
    command = [*ncu.command(_named(lines), device_index), *_within(limit_s)]
    if shutil.which(command[0]) is None:
        raise EnvironmentMissing("ncu is not on the PATH", hint="--timeline works without it")
    try:
        text, ended = _run(command, "Nsight Compute", limit_s)
        launches = ncu.by_case(ncu.launches(text))
    except UsageError as error:  # no table: no permission, or a version too old for this GPU
        raise EnvironmentMissing(error.what, hint=error.hint) from None
    if not ended:
        launches = launches[:-1]  # the last case may lack calls
    if len(launches) > len(lines):
        raise EnvironmentMissing(f"Nsight Compute saw {len(launches)} cases where {len(lines)} were run")
    launches += [[] for _ in lines[len(launches) :]]
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
    command = [*ncu.single(_named(lines), device_index, "--timeline"), *_within(limit_s)]
    text, _ = _run(command, "the timeline", limit_s)
    answer = next((row for row in reversed(text.splitlines()) if row.startswith('{"cases"')), None)
    if answer is None:
        raise EnvironmentMissing("the timeline failed", hint="; ".join(text.strip().splitlines()[-1:]))
    return [
        None if case is None else WitnessResult("timeline", median(case["spans_ns"]), case["kernels"])
        for case in json.loads(answer)["cases"]
    ]


def _within(limit_s: float) -> tuple[str, str]:
    """The option after whose seconds a witness begins no further case, so that it ends before the limit."""
    return "--seconds", f"{max(limit_s / 2, limit_s - _LAST_CASE_S):.0f}"


def _run(command: list[str], what: str, limit_s: float) -> tuple[str, bool]:
    """What a witness printed, and whether it ended by itself; at the limit its process group is killed."""
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, start_new_session=True)
    ended = True
    try:
        out, errors = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        ended = False
        _end_group(process)
        out, errors = process.communicate()
        if not out:
            raise EnvironmentMissing(f"{what} took longer than {limit_s:.0f} s") from None
        print(f"{what} took longer than {limit_s:.0f} s: its finished cases are kept", file=sys.stderr)
    finally:
        _end_group(process)  # what it started must not run beside the next measurement
    sys.stderr.write(errors)
    return out + errors, ended


def _end_group(process: subprocess.Popen[str]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
