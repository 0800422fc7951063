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
from quantroof.kernels.architectures import AMD, ARCHITECTURES, known, number_of
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Skip
from quantroof.kernels.program import CudaProgram, Program, Target
from quantroof.kernels.sass.ahead import compile_ahead
from quantroof.kernels.sass.amd import compile_for_amd, exceeds_memory, program_for
from quantroof.kernels.sass.batch import read_cubins
from quantroof.kernels.sass.cache import require_cache
from quantroof.kernels.sass.cubin import CodeReport

# Multiprocessors of the part a configuration is chosen for: A100, RTX 3090, RTX 4090, H100 SXM, B200, B300,
# Thor, RTX 5090, GB10. Rubin's count has no source yet: as B200.
_SM_COUNT = {
    "sm_80": 108,
    "sm_86": 82,
    "sm_89": 128,
    "sm_90a": 132,
    "sm_100a": 148,
    "sm_103a": 148,
    "sm_107a": 148,
    "sm_110a": 20,
    "sm_120a": 170,
    "sm_121a": 48,
}


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
class Job:
    """One case of a kernel on one architecture."""

    kernel: str
    case: str
    arch: str


@dataclass(frozen=True, slots=True)
class _Compiled:
    """Machine code of a job. Triton requests shared memory at launch; CUDA C++ declares it in the code."""

    job: Job
    cubin: bytes
    shared_bytes: int
    declares_shared_memory: bool
    threads: int
    weights_per_iteration: int | None


def machine_code_table(archs: Sequence[str], kernels: Sequence[str] = (), workers: int = 2) -> list[Row]:
    """Compile and read every declared kernel (or the named ones); UsageError for an unknown architecture."""
    return rows_of(jobs(archs, kernels), workers)


def jobs(archs: Sequence[str], kernels: Sequence[str] = ()) -> list[Job]:
    """What is compiled: every case of every declared kernel (or the named ones) for every architecture."""
    for arch in archs:
        known(arch)
    return [
        Job(kernel.name, case, arch)
        for kernel in declared()
        if not kernels or kernel.name in kernels
        for case in (kernel.machine_code.cases if kernel.machine_code else ())
        for arch in archs
    ]


def rows_of(jobs: Sequence[Job], workers: int = 2) -> list[Row]:
    """Compile jobs in parallel, and read the machine code of each architecture at once."""
    require_cache(registry.load().kernels[job.kernel].provider for job in jobs)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        results = list(pool.map(_compiled, jobs, chunksize=4))
        by_arch: dict[str, list[_Compiled]] = {}
        for result in results:
            if isinstance(result, _Compiled):
                by_arch.setdefault(result.job.arch, []).append(result)
        rows = {_key(row): row for of_arch in pool.map(_read, by_arch.values()) for row in of_arch}
    return [result if isinstance(result, Row) else rows[_key(result.job)] for result in results]


def program_of(job: Job) -> Program | CudaProgram | Skip:
    """What is compiled for a job, or why nothing is."""
    kernel = registry.load().kernels[job.kernel]
    assert kernel.machine_code is not None
    if job.arch in AMD:
        return program_for(kernel, Case.parse(job.case), job.arch)
    case, device = Case.parse(job.case), device_of(job.arch)
    return kernel.check(case, device) or kernel.machine_code.program(case, Target.of(device))


def _key(of: Row | Job) -> tuple[str, str, str]:
    return of.kernel, of.case, of.arch


def declared() -> list[Kernel]:
    """All kernels whose machine code is under test."""
    return [k for k in registry.load().kernels.values() if k.machine_code is not None]


def device_of(arch: str) -> Device:
    """A stand-in for the GPU that an architecture's configuration is chosen for."""
    capability = "{}.{}".format(*divmod(number_of(arch), 10))
    return Device(kind="cuda", index=0, name=arch, compute_capability=capability, sm_count=_SM_COUNT[arch])


def _compiled(job: Job) -> Row | _Compiled:
    """Compile one job. Return a finished row if it has no machine code to read."""
    program = program_of(job)
    if isinstance(program, Skip):
        return _skipped(job, program.reason)
    try:
        if job.arch in AMD and isinstance(program, Program):
            return _amd_row(job, program)
        cubin, shared_bytes = compile_ahead(program, job.arch)
    except EnvironmentMissing as missing:
        return _skipped(job, str(missing))
    except Exception as error:  # noqa: BLE001 - a compiler may raise anything; it costs this row only
        return _failed(job, error)
    declares = isinstance(program, CudaProgram)
    return _Compiled(
        job, cubin, shared_bytes, declares, 32 * program.num_warps, program.weights_per_iteration
    )


def _skipped(job: Job, reason: str) -> Row:
    return Row(kernel=job.kernel, case=job.case, arch=job.arch, status="skipped", reason=reason)


def _failed(job: Job, error: BaseException) -> Row:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return Row(
        kernel=job.kernel,
        case=job.case,
        arch=job.arch,
        status="failed",
        reason=f"{type(error).__name__}: {lines[-1] if lines else ''}",
        verdict="does not compile",
    )


def _read(compiled: Sequence[_Compiled]) -> list[Row]:
    """Rows of what was compiled for one architecture; code that cannot be read costs its own row only."""
    try:
        reports = read_cubins([code.cubin for code in compiled], compiled[0].job.arch)
        return [_row(code, report) for code, (report,) in zip(compiled, reports, strict=True)]
    except Exception as error:  # noqa: BLE001 - see above
        if len(compiled) == 1:
            return [_failed(compiled[0].job, error)]
        return [row for code in compiled for row in _read([code])]


def _row(compiled: _Compiled, report: CodeReport) -> Row:
    job, code = compiled.job, registry.load().kernels[compiled.job.kernel].machine_code
    assert code is not None
    per_weight = None
    if compiled.weights_per_iteration:
        per_weight = round(report.loop_instructions * compiled.threads / compiled.weights_per_iteration, 2)
    declared_bytes = report.static_shared_bytes if compiled.declares_shared_memory else 0
    row = Row(
        kernel=job.kernel,
        case=job.case,
        arch=job.arch,
        status="compiled",
        expected=code.expects.get(job.arch),
        instruction_class=report.instruction_class,
        registers=report.registers,
        spill_instructions=report.spill_instructions,
        shared_bytes=compiled.shared_bytes + declared_bytes,
        instructions=report.instructions,
        loop_instructions=report.loop_instructions,
        instructions_per_weight=per_weight,
        budget=code.budget_of(job.case, job.arch),
    )
    return msgspec.structs.replace(row, verdict=verdict_of(row))


def _amd_row(job: Job, program: Program) -> Row:
    """The row of a Program for AMD, whose compiler lists registers and spills in its text."""
    code, shared_bytes = compile_for_amd(program, job.arch)
    machine_code = registry.load().kernels[job.kernel].machine_code
    assert machine_code is not None
    row = Row(
        kernel=job.kernel,
        case=job.case,
        arch=job.arch,
        status="compiled",
        expected=machine_code.expects.get(job.arch),
        instruction_class=code.instruction_class,
        registers=code.vgprs,
        spill_instructions=code.spilled_registers,
        shared_bytes=shared_bytes,
        instructions=code.instructions,
    )
    verdict = verdict_of(row) or exceeds_memory(job.arch, shared_bytes)
    return msgspec.structs.replace(row, verdict=verdict)


def verdict_of(row: Row) -> str | None:
    """The promise that a compiled row breaks, or None."""
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
    return ARCHITECTURES
