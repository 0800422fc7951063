"""Decide from machine code whether a format is native: what assembles, and into which opcode.

`int4` through mma.sync assembles for Hopper, too: into two int8 products after unpacking. Compiling and
running prove nothing, so a path is native only if its opcode multiplies the format itself, emulated if
something else does, refused if nothing assembles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files

from quantroof.hwprofiles.native import Cell, Support
from quantroof.kernels.ceilings.instructions import INSTRUCTIONS, Instruction
from quantroof.kernels.sass.batch import functions_of
from quantroof.kernels.sass.classify import MATRIX_OPCODES
from quantroof.kernels.sass.listing import Function
from quantroof.kernels.sass.listing import Instruction as MachineInstruction
from quantroof.kernels.sass.nvrtc import Refusal, compile_cuda

ARCHITECTURES = (
    *("sm_80", "sm_86", "sm_87", "sm_89", "sm_90a"),
    *("sm_100a", "sm_103a", "sm_107a", "sm_110a", "sm_120a", "sm_121a"),
)
_ONE_CHAIN = "-DCHAINS=1"  # shorter code, the same opcodes


def native_table(archs: Iterable[str] = ARCHITECTURES, workers: int = 2) -> list[Cell]:
    """A cell for every instruction on every architecture, in a fixed order."""
    with ThreadPoolExecutor(workers) as pool:  # NVRTC and nvdisasm work outside the interpreter's lock
        return [cell for cells in pool.map(_cells, archs) for cell in cells]


def judge(instruction: Instruction, arch: str) -> Cell:
    """Assemble one instruction for one architecture and read what became of it."""
    (cell,) = _cells(arch, (instruction,))
    return cell


def _cells(arch: str, instructions: Sequence[Instruction] = INSTRUCTIONS) -> list[Cell]:
    assembled = [_assembled(instruction, arch) for instruction in instructions]
    cubins = [result for result in assembled if isinstance(result, bytes)]
    functions = iter(functions_of(cubins, arch) if cubins else [])
    return [
        _judged(instruction, arch, result if isinstance(result, Refusal) else next(functions))
        for instruction, result in zip(instructions, assembled, strict=True)
    ]


def _assembled(instruction: Instruction, arch: str) -> bytes | Refusal:
    try:
        return compile_instruction(instruction, arch, _ONE_CHAIN)
    except Refusal as refusal:
        return refusal


def _judged(instruction: Instruction, arch: str, result: Refusal | Sequence[Function]) -> Cell:
    if isinstance(result, Refusal):
        return _cell(instruction, arch, "refused", result.what)
    opcodes = matrix_opcodes(result)
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


def matrix_opcodes(functions: Sequence[Function]) -> list[str]:
    """The full opcodes of the matrix instructions in the functions of a cubin, sorted."""
    return sorted({i.opcode for function in functions for i in function.instructions if _multiplies(i)})


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
