"""What the self-test checks, group by group: a name and a function that returns what it saw, or raises."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from statistics import median
from typing import Any, Literal

import msgspec

from quantroof.bench.settings import Settings
from quantroof.hwprofiles.types import Device, Processor
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.program import Target
from quantroof.kernels.samples import sample_cases

Group = Literal["imports", "state", "correct", "timers", "ceilings"]
GROUPS: tuple[Group, ...] = ("imports", "state", "correct", "timers", "ceilings")
Seen = dict[str, Any]

_MODULES = ("numpy", "msgspec", "psutil", "pynvml", "torch", "triton", "cupy")
# A layer that tiles do not divide evenly, at the rows where kernels change; on a GPU a real one, too.
_ROWS: dict[Processor, dict[tuple[int, int], tuple[int, ...]]] = {
    "cpu": {(1152, 1024): (1, 7, 65)},
    "gpu": {(1152, 1024): (1, 7, 17, 65, 300), (4096, 4096): (1, 128, 2048)},
}
_CPU_CEILING = ((64, 1024, 1024),)  # whether it can be measured, not how fast a large product is
_SETTINGS = Settings(
    precision=0.01, min_samples=5, max_samples=400, seconds_per_case=0.2, quick_ceilings=True
)
_TIMED = {
    "cpu": (("burst", "torch.linear", "gemv/bf16-bf16-bf16/m1-n1024-k1024"),),
    "gpu": (
        *(
            (how, "torch.linear", "gemv/fp16-fp16-fp16/m1-n14336-k4096")
            for how in ("burst", "sustained", "eager")
        ),
        ("queued", "torch.linear", "gemv/fp16-fp16-fp16/m1-n14336-k4096"),
        ("burst", "triton.int4", "gemv/int4.g128-bf16-bf16/m1-n14336-k4096"),
        ("burst", "triton.int4", "gemm/int4.g128-bf16-bf16/m128-n4096-k4096"),
        ("unsplit", "triton.int4", "gemm/int4.g128-bf16-bf16/m128-n4096-k4096"),
        ("burst", "cupy.int4", "gemv/int4.g128-bf16-bf16/m1-n14336-k4096"),
        ("burst", "triton.bf16", "gemm/bf16-bf16-bf16/m2048-n4096-k4096"),
        ("burst", "torch.int8pack", "gemm/int8.channel-bf16-bf16/m128-n4096-k4096"),
    ),
}
_SPINS = (2_000_000, 20_000_000)
_CLOCKS_AGREE = 0.02


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `run` returns what it saw, or raises whatever is wrong."""

    name: str
    run: Callable[[], Seen]


def checks(group: Group, device: Device, kernels: tuple[str, ...]) -> Iterator[Check]:
    """The checks of a group on a device, with kernels from outside beside those of the package."""
    match group:
        case "imports":
            yield from (Check(f"import {name}", partial(_imported, name)) for name in _MODULES)
            yield Check("kernel modules", partial(_registered, kernels))
        case "state":
            yield from _state(device)
        case "correct":
            yield from _correct(device, kernels)
        case "timers":
            for how, name, case in _TIMED[device.processor]:
                yield Check(f"{how} {name} {case}", partial(_timed, device, how, name, case))
        case "ceilings":
            yield from _ceilings(device)


def _imported(name: str) -> Seen:
    if find_spec(name) is None:
        return {"skipped": "not installed"}
    start = time.perf_counter()
    module = import_module(name)
    return {
        "version": str(getattr(module, "__version__", None)),
        "seconds": round(time.perf_counter() - start, 2),
    }


def _registered(kernels: tuple[str, ...]) -> Seen:
    """Modules that cannot be imported are listed, not failed: an optional package may be missing."""
    loaded = registry.load(kernels)
    return {"kernels": len(loaded.kernels), "not_importable": loaded.broken}


def _state(device: Device) -> Iterator[Check]:
    """Each question to NVML with its time, and the device's own clock against its events; GPUs only."""
    if device.processor == "cpu":
        return
    from quantroof.hwprofiles.nvml import Board

    def ask(question: Callable[[Board], Any]) -> Seen:
        board = Board.open(device.uuid, device.nvml_index)
        if board is None:
            raise RuntimeError("NVML has no board with this UUID and no driver that answers")
        question(board)
        start = time.perf_counter()
        answer = question(board)
        return {"us": round((time.perf_counter() - start) * 1e6), "answer": repr(answer)}

    yield Check("NVML reading", partial(ask, lambda board: board.reading()))
    yield Check("NVML counters", partial(ask, lambda board: board.counters(processes=True)))
    yield Check("NVML XIDs", partial(ask, lambda board: board.xids()))
    yield Check("NVML processes", partial(_listed, device))
    yield Check("device clock", partial(_clock, device))


def _listed(device: Device) -> Seen:
    """Whether NVML lists this process once it has a context: foreign processes are counted besides it."""
    import torch

    from quantroof.hwprofiles.nvml import Board

    torch.zeros(1, device=f"cuda:{device.index}")
    board = Board.open(device.uuid, device.nvml_index)
    listed = None if board is None else board.health().process_ids
    return {"process_ids": listed, "own": os.getpid(), "own_is_listed": listed and os.getpid() in listed}


def _clock(device: Device) -> Seen:
    """One SM spins for a known number of cycles: idle SMs must show its clock, and events its time."""
    import torch

    from quantroof.bench.state.device_clock import DeviceClock, sm_clocks_mhz

    clock = DeviceClock(device.sm_count or 1)
    seen: Seen = {}
    for cycles in _SPINS:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        clock.start()
        clock.begin()
        begin.record()
        torch.cuda._sleep(cycles)  # type: ignore[no-untyped-call]  # noqa: SLF001 - torch's only spin kernel
        end.record()
        clock.end()
        torch.cuda.synchronize()
        mhz = sorted(sm_clocks_mhz(clock.stamps()[0]))
        by_events = cycles / begin.elapsed_time(end) / 1e3
        if not mhz:
            raise AssertionError(f"no SM was stamped around {cycles} cycles")
        found = {"events": by_events, "min": mhz[0], "max": mhz[-1], "sms": len(mhz)}
        seen[f"{cycles} cycles"] = found
        spread = max(abs(value / by_events - 1) for value in (mhz[0], median(mhz), mhz[-1]))
        if cycles == _SPINS[-1] and spread > _CLOCKS_AGREE:
            raise AssertionError(f"the SMs' clocks differ from cycles / event time by {spread:.1%}: {found}")
    return seen


def _correct(device: Device, kernels: tuple[str, ...]) -> Iterator[Check]:
    """Every kernel x scheme x M that it is made for and that nothing speaks against."""
    for (n, k), rows in _ROWS[device.processor].items():
        for kernel in registry.load(kernels).kernels.values():
            for case in (case for m in rows for case in sample_cases(kernel, m, n, k)):
                if kernel.made_for(case, device) and kernel.check(case, device) is None:
                    yield Check(f"{kernel.name} {case.id}", partial(_compared, device, kernel, case))


def _compared(device: Device, kernel: Kernel, case: Case) -> Seen:
    """Twice against the reference: a race shows as a difference between the two."""
    from quantroof.bench.correctness import check, correct
    from quantroof.kernels.problem import Problem

    problem = Problem(case, device)
    prepared = kernel.build(problem)
    if isinstance(prepared, Skip):
        return {"skipped": prepared.reason}
    first, second = check(prepared, problem), check(prepared, problem)
    seen = {"error": first.frobenius, "tolerance": first.tolerance, "same_twice": first == second}
    if not correct(first) or not correct(second):
        raise AssertionError(f"the output is not what the reference is: {seen}")
    return seen


def _timed(device: Device, how: str, name: str, case: str) -> Seen:
    from quantroof.bench.local import local_bench
    from quantroof.bench.measure import time_prepared

    mode: Literal["burst", "sustained"] = "sustained" if how == "sustained" else "burst"
    settings = msgspec.structs.replace(_SETTINGS, eager=how == "eager", mode=mode)
    bench = local_bench(device, settings)
    prepared = _prepared(device, how, name, Case.parse(case))
    if isinstance(prepared, Skip):
        return {"skipped": prepared.reason}
    timing, state, flags = time_prepared(bench, prepared)
    return {
        "us": median(timing.samples_ns) / 1e3,
        "min_us": min(timing.samples_ns) / 1e3,
        "max_us": max(timing.samples_ns) / 1e3,
        "method": timing.method,
        "samples": len(timing.samples_ns),
        "calls": timing.calls_per_sample,
        "copies": timing.copies,
        "clock_mhz": state.sm_clock_mhz,
        "flags": [flag.text for flag in flags],
    }


def _prepared(device: Device, how: str, name: str, case: Case) -> Prepared | Skip:
    """A kernel ready to be timed: not to be captured if `queued`, K in one part if `unsplit`."""
    from quantroof.kernels.linear.triton_weight_only import formula
    from quantroof.kernels.linear.tuned import trying
    from quantroof.kernels.problem import Problem

    kernel = registry.load().kernels.get(name)
    if kernel is None:
        return Skip("not in this environment")
    whole = msgspec.structs.replace(formula(case, Target.of(device)), split=1)
    with trying(whole) if how == "unsplit" else nullcontext():
        prepared = kernel.build(Problem(case, device))
    if how == "queued" and isinstance(prepared, Prepared):
        return replace(prepared, capturable=False)
    return prepared


def _ceilings(device: Device) -> Iterator[Check]:
    from quantroof.analysis.roofs import ceiling_rate
    from quantroof.bench.ceilings.measure import ceiling_groups
    from quantroof.bench.local import local_bench

    bench = local_bench(device, _SETTINGS)

    def run(group: Any) -> Seen:
        lines = list(group.measure(bench))
        failed = [line.reason for line in lines if line.status == "failed"]
        if failed:
            raise RuntimeError("; ".join(failed))
        return {"per_second": [ceiling_rate(line) or line.reason for line in lines]}

    for group in ceiling_groups(bench, quick=True, cpu_shapes=_CPU_CEILING):
        yield Check(" ".join(group.key), partial(run, group))
