"""The table of machine code: every kernel that declares some, on every architecture, in parallel."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Literal

import msgspec

from quantroof.errors import EnvironmentMissing
from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel
from quantroof.kernels.program import CudaProgram, MachineCode, Program, Target
from quantroof.kernels.sass.ahead import ARCHITECTURES, capability_of, read_ahead

# Multiprocessors of the part a configuration is chosen for: A100, RTX 3090, RTX 4090, H100 SXM, B200, RTX
# 5090.
_SM_COUNT = {"sm_80": 108, "sm_86": 82, "sm_89": 128, "sm_90a": 132, "sm_100a": 148, "sm_120a": 170}


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One kernel and case on one architecture: what the machine code is, or why there is none.

    `instructions_per_weight` is the number of instructions in the innermost loop over the weights that a
    thread consumes in it. `verdict` is None if every promise is kept, else the broken one.
    """

    kernel: str
    case: str
    arch: str
    status: Literal["compiled", "skipped", "failed"]
    reason: str | None = None
    expected: str | None = None
    instruction_class: str | None = None
    registers: int | None = None
    spill_instructions: int | None = None
    shared_bytes: int | None = None
    instructions: int | None = None
    loop_instructions: int | None = None
    instructions_per_weight: float | None = None
    budget: float | None = None
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    kernel: str
    case: str
    arch: str


def machine_code_table(archs: Sequence[str], kernels: Sequence[str] = (), workers: int = 2) -> list[Row]:
    """Compile and read every declared kernel (or the named ones); UsageError for an unknown architecture."""
    for arch in archs:
        capability_of(arch)
    jobs = [
        _Job(kernel.name, case, arch)
        for kernel in declared()
        if not kernels or kernel.name in kernels
        for case in (kernel.machine_code.cases if kernel.machine_code else ())
        for arch in archs
    ]
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_row, jobs, chunksize=4))


def declared() -> list[Kernel]:
    """All kernels whose machine code is under test."""
    return [k for k in registry.load().kernels.values() if k.machine_code is not None]


def device_of(arch: str) -> Device:
    """A stand-in for the GPU that an architecture's configuration is chosen for."""
    capability = "{}.{}".format(*divmod(capability_of(arch), 10))
    return Device(kind="cuda", index=0, name=arch, compute_capability=capability, sm_count=_SM_COUNT[arch])


def _row(job: _Job) -> Row:
    kernel = registry.load().kernels[job.kernel]
    code = kernel.machine_code
    assert code is not None
    case, device = Case.parse(job.case), device_of(job.arch)
    if skip := kernel.check(case, device):
        return Row(kernel=job.kernel, case=job.case, arch=job.arch, status="skipped", reason=skip.reason)
    program = code.program(case, Target.of(device))
    try:
        return _compiled(job, program, code)
    except EnvironmentMissing as missing:
        return Row(kernel=job.kernel, case=job.case, arch=job.arch, status="skipped", reason=str(missing))
    except Exception as error:  # noqa: BLE001 - a compiler may raise anything; it costs this row only
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        lines = str(cause).strip().splitlines()
        return Row(
            kernel=job.kernel,
            case=job.case,
            arch=job.arch,
            status="failed",
            reason=f"{type(cause).__name__}: {lines[-1] if lines else ''}",
            verdict="does not compile",
        )


def _compiled(job: _Job, program: Program | CudaProgram, code: MachineCode) -> Row:
    report, shared_bytes = read_ahead(program, job.arch)
    per_weight = None
    if program.weights_per_iteration:
        threads = 32 * program.num_warps
        per_weight = round(report.loop_instructions * threads / program.weights_per_iteration, 2)
    row = Row(
        kernel=job.kernel,
        case=job.case,
        arch=job.arch,
        status="compiled",
        expected=code.expects.get(job.arch),
        instruction_class=report.instruction_class,
        registers=report.registers,
        spill_instructions=report.spill_instructions,
        shared_bytes=shared_bytes,
        instructions=report.instructions,
        loop_instructions=report.loop_instructions,
        instructions_per_weight=per_weight,
        budget=code.budget_of(job.case, job.arch),
    )
    return msgspec.structs.replace(row, verdict=_verdict(row))


def _verdict(row: Row) -> str | None:
    if row.expected is not None and not _is_class(row.instruction_class, row.expected):
        return f"declared {row.expected}, compiled to {row.instruction_class}"
    if row.spill_instructions:
        return f"{row.spill_instructions} spill instructions"
    if row.budget is not None and (row.instructions_per_weight or 0) > row.budget:
        return f"{row.instructions_per_weight} instructions per weight, {row.budget} allowed"
    return None


def _is_class(found: str | None, expected: str) -> bool:
    """`simt` is any vector instruction, `matrix:HMMA` exactly that one, `matrix:IMMA|UTCIMMA` one of two."""
    unit, _, opcode = (found or "").partition(":")
    declared_unit, _, opcodes = expected.partition(":")
    return unit == declared_unit and (not opcodes or opcode in opcodes.split("|"))


def all_architectures() -> tuple[str, ...]:
    """The architectures that every kernel is compiled for."""
    return tuple(ARCHITECTURES)
