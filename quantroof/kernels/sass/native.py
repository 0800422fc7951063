"""Decide from machine code whether a format is native: what assembles, and into which opcode.

`int4` through mma.sync assembles for Hopper, too: into two int8 products after unpacking. Compiling and
running prove nothing, so a path is native only if its opcode multiplies the format itself, emulated if
something else does, refused if nothing assembles.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

from quantroof.hwprofiles.native import Cell, Support
from quantroof.kernels.ceilings.instructions import INSTRUCTIONS, Instruction
from quantroof.kernels.sass.classify import MATRIX_OPCODES
from quantroof.kernels.sass.cubin import listing
from quantroof.kernels.sass.listing import Instruction as MachineInstruction
from quantroof.kernels.sass.listing import parse_listing
from quantroof.kernels.sass.nvrtc import Refusal, compile_cuda

ARCHITECTURES = ("sm_80", "sm_86", "sm_87", "sm_89", "sm_90a", "sm_100a", "sm_120a", "sm_121a")
_ONE_CHAIN = "-DCHAINS=1"  # shorter code, the same opcodes


def native_table(archs: Iterable[str] = ARCHITECTURES, workers: int = 2) -> list[Cell]:
    """A cell for every instruction on every architecture, in a fixed order."""
    jobs = [(instruction, arch) for arch in archs for instruction in INSTRUCTIONS]
    with ThreadPoolExecutor(workers) as pool:  # NVRTC and cuobjdump work outside the interpreter's lock
        return list(pool.map(lambda job: judge(*job), jobs))


def judge(instruction: Instruction, arch: str) -> Cell:
    """Assemble one instruction for one architecture and read what became of it."""
    try:
        cubin = compile_instruction(instruction, arch, _ONE_CHAIN)
    except Refusal as refusal:
        return _cell(instruction, arch, "refused", refusal.what)
    opcodes = matrix_opcodes(cubin)
    native = any(opcode.startswith(instruction.native) for opcode in opcodes)
    evidence = ", ".join(opcodes) if opcodes else "no matrix instruction at all"
    return _cell(instruction, arch, "native" if native else "emulated", evidence)


def compile_instruction(instruction: Instruction, arch: str, *options: str) -> bytes:
    """Machine code of the kernel around one instruction. Refusal where it does not assemble."""
    source = read_source(instruction.source)
    return compile_cuda(source, arch, name=instruction.source, options=(*instruction.defines, *options))


def read_source(name: str) -> str:
    """The text of a CUDA C++ file: a path below the room, or the name of one of the ceilings'."""
    folder, _, file = name.rpartition("/")
    package = f"quantroof.kernels.{(folder or 'ceilings').replace('/', '.')}"
    return (files(package) / file).read_text(encoding="utf-8")


def matrix_opcodes(cubin: bytes) -> list[str]:
    """The full opcodes of the matrix instructions in a cubin, sorted."""
    found = (i for function in parse_listing(listing(cubin)) for i in function.instructions)
    return sorted({i.opcode for i in found if _multiplies(i)})


def _multiplies(instruction: MachineInstruction) -> bool:
    return instruction.base in MATRIX_OPCODES


def _cell(instruction: Instruction, arch: str, verdict: Support, evidence: str) -> Cell:
    return Cell(
        arch=arch,
        element=instruction.element,
        accumulator=instruction.accumulator,
        path=instruction.path,
        verdict=verdict,
        evidence=evidence,
    )
