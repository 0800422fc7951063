"""Reads the text that cuobjdump prints for machine code (SASS): functions and instructions.

Independent of what compiled the code, so Triton kernels and CUDA C++ cubins are read alike.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.errors import QuantroofError

_FUNCTION = re.compile(r"^\s*Function\s*:\s*(\S+)")
_ARCH = re.compile(r"^\s*code for (sm_\w+)")
_INSTRUCTION = re.compile(
    r"^\s*/\*(?P<address>[0-9a-f]{4,})\*/\s+(?:@(?P<guard>!?U?P\w+)\s+)?(?P<opcode>[A-Z][\w.]*)(?P<operands>[^;]*);"
)
_HEX = re.compile(r"0x[0-9a-f]+")


class DisassemblyError(QuantroofError):
    """Machine code that cannot be read, or no tool to read it with."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One machine instruction: byte address, full opcode (`HMMA.16816.F32.BF16`) and operand text."""

    address: int
    opcode: str
    operands: str
    guarded: bool

    @property
    def base(self) -> str:
        """The opcode without its modifiers: `HMMA`."""
        return self.opcode.partition(".")[0]

    @property
    def branch_target(self) -> int | None:
        """The address a direct branch goes to, or None."""
        if self.base not in {"BRA", "BRX", "JMP"}:
            return None
        found = _HEX.findall(self.operands)
        return int(found[-1], 16) if found else None


@dataclass(frozen=True, slots=True)
class Function:
    """One function of a listing. Padding after the last real instruction is left out."""

    name: str
    arch: str
    instructions: tuple[Instruction, ...]

    def opcode_counts(self) -> Counter[str]:
        """How often each base opcode appears in the whole function."""
        return Counter(i.base for i in self.instructions)


def parse_listing(text: str) -> tuple[Function, ...]:
    """Parse `cuobjdump -sass` output. Raises DisassemblyError where it holds no function with code."""
    functions: list[Function] = []
    arch, name, found = "", "", list[Instruction]()

    def close() -> None:
        if name and found:
            functions.append(function_of(name, arch, found))

    for line in text.splitlines():
        if header := _ARCH.match(line):
            arch = header[1]
        elif header := _FUNCTION.match(line):
            close()
            name, found = header[1], []
        elif instruction := parse_instruction(line):
            found.append(instruction)
    close()
    if not functions:
        raise DisassemblyError("no function with machine code in this listing")
    return tuple(functions)


def parse_instruction(line: str) -> Instruction | None:
    """The instruction of a line; None where it holds none."""
    match = _INSTRUCTION.match(line)
    if match is None:
        return None
    address = int(match["address"], 16)
    return Instruction(address, match["opcode"], match["operands"].strip(), bool(match["guard"]))


def function_of(name: str, arch: str, instructions: Sequence[Instruction]) -> Function:
    """A function without the NOPs and the branch to itself that close it."""
    end = len(instructions)
    while end and (instructions[end - 1].base == "NOP" or _is_trap(instructions[end - 1])):
        end -= 1
    return Function(name, arch, tuple(instructions[:end]))


def _is_trap(instruction: Instruction) -> bool:
    return instruction.branch_target == instruction.address
