"""One compiled product: what the machine code multiplies with, and what it costs."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from quantroof.kernels.sass.amdgcn import read_amdgcn
from quantroof.kernels.sass.classify import MATRIX_OPCODES
from quantroof.kernels.sass.listing import Function
from quantroof.kernels.stack.probes import Family

_SPILLS = ("STL", "LDL")  # stores to and loads from a thread's local memory
# The longest name first, so that f8f6f4 is not taken for f4 or bf16 for f16.
_MFMA_FAMILIES: tuple[tuple[str, Family], ...] = (
    ("f8f6f4", "fp8"),
    ("fp8", "fp8"),
    ("bf8", "fp8"),
    ("i8", "int8"),
    ("bf16", "16-bit"),
    ("f16", "16-bit"),
)


class StackCell(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one format becomes in one tile on one architecture.

    `family` is what the matrix instruction multiplies and `opcode` its name; both are None if the product has
    no matrix instruction or did not compile (`error` has the compiler's last line).
    """

    arch: str
    format: str
    tile: str
    family: Family | None = None
    opcode: str | None = None
    spills: int = 0
    error: str | None = None


class Compiled(msgspec.Struct, frozen=True):
    """A cell as its compiler's process hands it over; `cubin` is machine code that is still to be read."""

    cell: StackCell
    cubin: bytes | None = None


def read(cell: StackCell, functions: Iterable[Function]) -> StackCell:
    """The cell with what its machine code shows."""
    instructions = [instruction for function in functions for instruction in function.instructions]
    opcode = widest(instruction.opcode for instruction in instructions)
    return replace(
        cell,
        opcode=opcode,
        family=None if opcode is None else family_of(opcode),
        spills=sum(instruction.base in _SPILLS for instruction in instructions),
    )


def widest(opcodes: Iterable[str]) -> str | None:
    """The matrix opcode that the code was written for, of all its opcodes, in order of generation."""
    full = list(opcodes)
    for base in MATRIX_OPCODES:
        for opcode in full:
            if opcode.partition(".")[0] == base:
                return opcode
    return None


def family_of(opcode: str) -> Family | None:
    """What an NVIDIA matrix opcode multiplies: OMMA fp4, QMMA 8-bit floats, IMMA int8, HMMA 16 bits."""
    unit = opcode.partition(".")[0].removeprefix("UTC").removesuffix("MMA").removesuffix("G")
    families: dict[str, Family] = {"O": "fp4", "Q": "fp8", "I": "int8", "H": "16-bit"}
    return families.get(unit)


def amd_code(text: str, wanted: Family) -> tuple[str | None, Family | None, int]:
    """(opcode, family, spilled registers) of AMD assembly; the scaled f8f6f4 instruction takes fp4, too."""
    code = read_amdgcn(text)
    if not code.matrix:
        return None, None, code.spilled_registers
    name = next((n for n in code.matrix if "f8f6f4" in n), code.matrix[0])
    family = next((family for part, family in _MFMA_FAMILIES if part in name), None)
    if wanted == "fp4" and name.startswith("v_mfma_scale"):
        family = "fp4"
    return name, family, code.spilled_registers
