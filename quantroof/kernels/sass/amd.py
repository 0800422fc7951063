"""Compile portable Programs for AMD's GPUs ahead of time. Not yet run on such a GPU."""

from __future__ import annotations

from dataclasses import replace

from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Skip
from quantroof.kernels.program import Program, Target
from quantroof.kernels.sass.amdgcn import AmdCode, read_amdgcn

_UNITS = {"gfx942": 304, "gfx950": 256}  # compute units of MI300X and MI355X
_LDS_BYTES = {"gfx942": 64 * 1024, "gfx950": 160 * 1024}  # of one workgroup, by AMD's guides
_STAGES = 2  # what the AMD back end pipelines; more only take memory
_WAVE = 64
# gfx942 multiplies e4m3 with the other bias and one zero; e4m3fn would be widened to fp16 there.
_FNUZ = ("gfx942", "fp8e4nv", "fp8e4b8")


def program_for(kernel: Kernel, case: Case, arch: str) -> Program | Skip:
    """The device code of a kernel for AMD, or why it is not compiled: its compiler may end the process."""
    code = kernel.machine_code
    if code is None or code.not_portable is not None:
        return Skip(code.not_portable or "" if code else "it declares no machine code")
    if arch not in code.expects:
        return Skip(f"it declares no instruction class for {arch}")
    if arch == _FNUZ[0] and case.output.element.name == "fp8_e4m3":
        return Skip(f"it writes e4m3fn, and {arch} multiplies the fnuz variant")
    # Without TMA and wgmma a Program is that of compute capability 8.0.
    program = code.program(case, Target((8, 0), _UNITS[arch], arch))
    if not isinstance(program, Program):
        return Skip("CUDA C++ is not compiled for AMD")
    _, fn, fnuz = _FNUZ
    types = tuple(kind.replace(fn, fnuz) if arch == _FNUZ[0] else kind for kind in program.arguments)
    return replace(program, arguments=types, num_stages=min(_STAGES, program.num_stages))


def compile_for_amd(program: Program, arch: str) -> tuple[AmdCode, int]:
    """(what the assembly shows, bytes of LDS)."""
    import triton
    from triton.backends.compiler import GPUTarget

    from quantroof.kernels.sass.ahead import ast_source

    target = GPUTarget("hip", arch, _WAVE)
    compiled = triton.compile(ast_source(program), target=target, options=program.compile_options)
    return read_amdgcn(compiled.asm["amdgcn"]), int(compiled.metadata.shared)


def exceeds_memory(arch: str, shared_bytes: int) -> str | None:
    """Why a workgroup could not start, or None."""
    limit = _LDS_BYTES[arch]
    return f"{shared_bytes} bytes of LDS, {limit} exist" if shared_bytes > limit else None
