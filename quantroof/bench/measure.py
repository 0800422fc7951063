"""One measurement from end to end: build, check, rotate, time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from msgspec.structs import replace

from quantroof.bench.clock import now_s
from quantroof.bench.correctness import WrongOutput, check, correct
from quantroof.bench.failures import reason
from quantroof.bench.fresh import Recheck
from quantroof.bench.settings import Settings
from quantroof.bench.state.flags import state_flags
from quantroof.bench.state.monitor import Monitor
from quantroof.bench.timing.cpu import CpuBlocks
from quantroof.bench.timing.rotation import Arena, Copies
from quantroof.bench.timing.sampling import SETTLE_S, sample, settle
from quantroof.bench.timing.timer import Call, Probe, Timer
from quantroof.hwprofiles.types import Device
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.problem import Problem
from quantroof.records.lines import Accuracy, DeviceState, Flag, Measurement, Status, Timing

_REASON_CHARACTERS = 300
_CONFIG_CHARACTERS = 1000
_LARGEST_INTEGER = (1 << 63) - 1


class SecondCheck(Protocol):
    """A check of the timed calls, between samples and after the last one."""

    def prepare(self, timer: Timer, seconds: float) -> None:
        """Sampling is about to begin, for about so many seconds."""

    def after_sample(self, index: int, timer: Timer) -> bool:
        """A sample was taken; True to go on sampling."""
        ...

    def conclude(self, timer: Timer) -> None:
        """Sampling has ended. WrongOutput where the timed calls did something else than compute."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What stays the same from case to case in one worker."""

    device: Device
    settings: Settings
    arena: Arena
    monitor: Monitor


def measure(bench: Bench, problem: Problem, kernel: Kernel, *, foreign: bool = False) -> Measurement:
    """Measure a kernel on a problem; whatever goes wrong becomes a status with its reason.

    A foreign kernel is checked again between samples too, and may raise what ends a program.
    """
    start = now_s()
    record = _Record(bench, problem, kernel)
    try:
        prepared = kernel.build(problem)
        if isinstance(prepared, Skip):
            line = record.line("skipped", prepared.reason)
        else:
            with _nvtx_range(problem.case.id, kernel.name):
                between = bench.settings.min_samples if foreign else 0
                recheck = Recheck(kernel, problem, prepared, between=between)
                line = _measured(bench, problem, prepared, record, recheck)
    except WrongOutput as error:
        line = record.line("incorrect", str(error))
    except torch.OutOfMemoryError as error:
        line = record.line("failed", f"out of memory: {reason(error, record.name)}")
    except Exception as error:  # noqa: BLE001 - a kernel may raise anything; only its case fails
        line = record.line("failed", reason(error, record.name))
    except BaseException as error:
        if not foreign:
            raise
        line = record.line("failed", reason(error, record.name))
    return replace(line, elapsed_s=now_s() - start)


def time_prepared(
    bench: Bench, prepared: Prepared, recheck: SecondCheck | None = None
) -> tuple[Timing, DeviceState, tuple[Flag, ...]]:
    """Time a prepared call by the contract: rotated copies, blocks or graph, precision-driven stop.

    With a `recheck`, WrongOutput if the timed calls do not compute what the first one did.
    """
    settings = bench.settings
    copies = bench.arena.copies(prepared.weights, cold=settings.cache == "cold")
    timer = make_timer(bench, prepared, copies)
    settle(timer, SETTLE_S[bench.device.processor][settings.mode])
    if recheck is not None:
        recheck.prepare(timer, settings.rule().seconds)
    after_sample = None if recheck is None else recheck.after_sample
    bench.monitor.start()
    try:
        samples, stopped_by = sample(timer, settings.rule(), after_sample=after_sample)
        timer.finish()  # the monitor reads stamps that the device may not have written yet
    except BaseException:
        with suppress(Exception):  # the device may be gone; what ended the sampling is the reason to report
            bench.monitor.stop()
        raise
    state = bench.monitor.stop()
    if recheck is not None:
        recheck.conclude(timer)
    timing = Timing(
        samples_ns=samples,
        calls_per_sample=timer.calls_per_sample,
        cache=settings.cache,
        method=timer.method,
        stopped_by=stopped_by,
        copies=len(timer.copies.sets),
        rotated_bytes=timer.copies.bytes_total,
        hot=prepared.hot if settings.cache == "cold" else (*prepared.hot, "weights"),
        mode=settings.mode,
    )
    return (
        timing,
        state,
        (*_rotation_flags(copies, timer.copies), *timer.flags(), *state_flags(state, settings.mode)),
    )


def make_timer(bench: Bench, prepared: Prepared, copies: Copies) -> Timer:
    """The timer of the device and mode: blocks on a CPU, graphs on a GPU, queued events where none can be."""
    if bench.device.processor == "cpu":
        return CpuBlocks(prepared.call, copies)
    from quantroof.bench.timing.cuda_events import EagerCalls, QueuedCalls
    from quantroof.bench.timing.cuda_graph import GraphReplays, SustainedReplays

    kind: Callable[[Call, Copies, Probe], Timer]
    if bench.settings.eager:
        kind = EagerCalls
    elif not prepared.capturable:
        kind = QueuedCalls
    else:
        kind = SustainedReplays if bench.settings.mode == "sustained" else GraphReplays
    return kind(prepared.call, copies, bench.monitor.probe)


def _nvtx_range(case: str, kernel: str) -> AbstractContextManager[object]:
    """An NVTX range `case kernel` for nsys and ncu, where nvtx is installed; free without a profiler."""
    try:
        import nvtx
    except ImportError:
        return nullcontext()
    annotation: AbstractContextManager[object] = nvtx.annotate(f"{case} {kernel}", domain="quantroof")
    return annotation


class _Record:
    """Builds the line of one case and kernel, whatever its outcome."""

    def __init__(self, bench: Bench, problem: Problem, kernel: Kernel) -> None:
        self._bench, self._case, self._kernel = bench, problem.case, kernel
        self.name = f"{problem.case.id} {kernel.name}"

    def line(self, status: Status, reason: str | None = None, **parts: Any) -> Measurement:
        reason = reason and reason[:_REASON_CHARACTERS]
        return Measurement(
            device=self._bench.device.id,
            case=self._case.id,
            kernel=self._kernel.name,
            provider=self._kernel.provider,
            status=status,
            reason=reason,
            flops=self._case.flops,
            bytes_moved=self._case.bytes_moved,
            computes=self._kernel.computes,
            **parts,
        )


def _measured(
    bench: Bench, problem: Problem, prepared: Prepared, record: _Record, recheck: Recheck
) -> Measurement:
    _require_recordable(prepared.config)
    accuracy = check(prepared, problem)
    if not correct(accuracy):
        return record.line("incorrect", _error_text(accuracy), accuracy=accuracy, config=prepared.config)
    timing, state, flags = time_prepared(bench, prepared, recheck)
    return record.line(
        "ok", accuracy=accuracy, timing=timing, state=state, flags=flags, config=prepared.config
    )


def _require_recordable(config: Mapping[str, object]) -> None:
    """ValueError where a kernel's configuration has what a record cannot hold, such as NaN or an object."""
    for name, value in config.items():
        if isinstance(value, str):
            recordable = len(value) <= _CONFIG_CHARACTERS and value.isprintable()
        elif isinstance(value, int):
            recordable = abs(value) <= _LARGEST_INTEGER
        else:
            recordable = isinstance(value, float) and math.isfinite(value)
        if not recordable:
            what = f"its config {ascii(name)[:40]} is not a short text, a finite number or a flag"
            raise ValueError(what)


def _error_text(accuracy: Accuracy) -> str:
    return f"relative error {accuracy.frobenius:.2e} is above the format's tolerance {accuracy.tolerance:.0e}"


def _rotation_flags(laid: Copies, used: Copies) -> tuple[Flag, ...]:
    if used is not laid:
        text = f"weights rotate through {used.bytes_total} bytes only: the call takes too long for all copies"
    elif laid.short:
        text = f"weights rotate through {laid.bytes_total} bytes only: memory did not allow 3x the cache"
    else:
        return ()
    return (Flag(code="rotation_short", text=text),)
