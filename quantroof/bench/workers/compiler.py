"""Compile a plan's Triton kernels ahead, in separate processes, into Triton's disk cache.

Run as `python -m quantroof.bench.workers.compiler ARCH SM_COUNT`, with lines `case kernel` on standard input.
The measuring worker then finds its kernels compiled: same function, same constants, same cache key.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress

from quantroof.bench.plan import DevicePlan
from quantroof.bench.workers.parent import die_with_parent
from quantroof.hwprofiles.types import Device
from quantroof.kernels.architectures import architecture_of, number_of
from quantroof.kernels.cases import Case
from quantroof.kernels.program import CudaProgram, Program, Target
from quantroof.kernels.registry import own
from quantroof.kernels.sass.ahead import compile_ahead

_MAX_PROCESSES = 8
_CLOCK = ("device-clock", "")
"""The job of the kernel that reads the device's clock: no case names it, and every case needs it."""


class CompilerPool:
    """Compiler processes for one plan; they end by themselves, or when they are stopped."""

    def __init__(self, plan: DevicePlan) -> None:
        jobs = [_CLOCK, *jobs_of(plan)]
        arch = architecture(plan.device)
        # Half of the cores: the other half belongs to the measuring worker and its launches.
        count = min(_MAX_PROCESSES, max(1, (os.cpu_count() or 2) // 2), len(jobs)) if arch else 0
        self._processes = [_start(arch or "", plan.device, jobs[i::count]) for i in range(count)]

    def wait(self) -> None:
        """Wait until everything is compiled."""
        for process in self._processes:
            process.wait()

    def stop(self) -> None:
        """End the processes; what they have compiled stays in the cache."""
        for process in self._processes:
            process.kill()
            process.wait()


def jobs_of(plan: DevicePlan) -> list[tuple[str, str]]:
    """(case id, kernel name) of everything in a plan that can be compiled ahead."""
    return [
        (planned.case.id, kernel.name)
        for planned in plan.cases
        for kernel in planned.kernels
        if kernel.machine_code is not None
    ]


def architecture(device: Device) -> str | None:
    """The compilation target of a device, or None for one that is not compiled for."""
    if device.kind != "cuda" or device.capability is None:
        return None
    return architecture_of(device.capability)


def compile_jobs(jobs: Iterable[tuple[str, str]], arch: str, sm_count: int) -> int:
    """Compile one after another; returns how many succeeded. A failure is for the worker to report."""
    number = number_of(arch)
    target = Target((number // 10, number % 10), sm_count)
    done = 0
    for case, name in jobs:
        with suppress(Exception):
            for program in _programs(case, name, target):
                compile_ahead(program, arch)
            done += 1
    return done


def _programs(case: str, name: str, target: Target) -> Sequence[Program | CudaProgram]:
    """Everything that a kernel launches for a case."""
    if (case, name) == _CLOCK:
        from quantroof.bench.state.device_clock import stamp_programs

        return stamp_programs(target.sm_count)
    kernel = own().kernels.get(name)  # foreign code is imported where it is measured, and nowhere else
    machine_code = None if kernel is None else kernel.machine_code
    return () if machine_code is None else machine_code.programs(Case.parse(case), target)


def _start(arch: str, device: Device, jobs: list[tuple[str, str]]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "quantroof.bench.workers.compiler", arch, str(device.sm_count or 1)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    assert process.stdin is not None
    with suppress(BrokenPipeError), process.stdin as pipe:
        pipe.writelines(f"{case} {name}\n" for case, name in jobs)
    return process


def main() -> None:
    """Compile what standard input names, for as long as the run that started this lives."""
    die_with_parent()
    jobs = [(case, name) for case, _, name in (line.strip().partition(" ") for line in sys.stdin)]
    compile_jobs(jobs, sys.argv[1], int(sys.argv[2]))


if __name__ == "__main__":
    main()
