"""A model of the few PTX instructions that the kernels' inline assembly uses, over arrays of registers.

The interpreter cannot run inline assembly, so the assembly itself is checked here, value by value, against
the plain twin that the interpreter does run. Semantics: PTX ISA 8.x, sections on lop3, shr, prmt and fma.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Register = NDArray[np.uint32]

_STATEMENT = re.compile(r"^(?P<opcode>[a-z0-9.]+)\s+(?P<operands>.+)$")


def run_ptx(assembly: str, inputs: dict[str, Register]) -> dict[str, Register]:
    """Run a `{ ...; }` block. `inputs` maps operand names (`$4`) to registers; returns every register."""
    shape = next(iter(inputs.values())).shape
    registers = dict(inputs)
    for statement in assembly.strip().strip("{}").split(";"):
        text = statement.strip()
        if not text or text.startswith(".reg"):
            continue
        match = _STATEMENT.match(text)
        assert match is not None, text
        target, *operands = (o.strip() for o in match["operands"].split(","))
        values = [_value(o, registers, shape) for o in operands]
        registers[target] = _OPCODES[match["opcode"]](*values)
    return registers


def _value(operand: str, registers: dict[str, Register], shape: tuple[int, ...]) -> Register:
    if operand in registers:
        return registers[operand]
    return np.full(shape, int(operand, 0), dtype=np.uint32)


def _lop3(a: Register, b: Register, c: Register, table: Register) -> Register:
    """Bitwise function of three inputs: bit (4 a + 2 b + c) of the table."""
    lut = int(table.flat[0])
    out = np.zeros_like(a)
    for index in range(8):
        if lut >> index & 1:
            out |= (a if index & 4 else ~a) & (b if index & 2 else ~b) & (c if index & 1 else ~c)
    return out


def _prmt(a: Register, b: Register, selector: Register) -> Register:
    """Pick four of the eight bytes of (a, b); a selector's top bit replicates the byte's sign."""
    both = a.astype(np.uint64) | (b.astype(np.uint64) << np.uint64(32))
    out = np.zeros_like(a)
    for position in range(4):
        pick = selector >> np.uint32(4 * position) & np.uint32(0xF)
        byte = (both >> (np.uint64(8) * (pick & np.uint32(7)).astype(np.uint64))).astype(
            np.uint32
        ) & np.uint32(0xFF)
        sign = np.where(byte & np.uint32(0x80), np.uint32(0xFF), np.uint32(0))
        out |= np.where(pick & np.uint32(8), sign, byte) << np.uint32(8 * position)
    return out


def bf16_pair(register: Register) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The (low, high) bf16 halves of registers as fp32."""
    low = (register << np.uint32(16)).view(np.float32)
    high = (register & np.uint32(0xFFFF0000)).view(np.float32)
    return low, high


def pair_of_bf16(low: NDArray[np.float64], high: NDArray[np.float64]) -> Register:
    """Round two values to bf16, to nearest even, and pack them."""
    return _bf16_bits(low) | (_bf16_bits(high) << np.uint32(16))


def _bf16_bits(values: NDArray[np.float64]) -> Register:
    # float64 holds every product and sum of bf16 values met here exactly, and the rounding to fp32 in between
    # is exact too (8 + 8 bits fit 24), so one rounding to bf16 remains.
    bits = values.astype(np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))
    return rounded >> np.uint32(16)


def _fma_bf16x2(a: Register, b: Register, c: Register) -> Register:
    (al, ah), (bl, bh), (cl, ch) = (
        (p[0].astype(np.float64), p[1].astype(np.float64)) for p in map(bf16_pair, (a, b, c))
    )
    return pair_of_bf16(al * bl + cl, ah * bh + ch)


_OPCODES: dict[str, Callable[..., Register]] = {
    "mov.b32": lambda a: a.copy(),
    "shr.u32": lambda a, n: a >> n,
    "shl.b32": lambda a, n: a << n,
    "and.b32": lambda a, b: a & b,
    "or.b32": lambda a, b: a | b,
    "xor.b32": lambda a, b: a ^ b,
    "lop3.b32": _lop3,
    "prmt.b32": _prmt,
    "shf.l.wrap.b32": lambda low, high, n: (high << n) | (low >> (np.uint32(32) - n)),
    "fma.rn.bf16x2": _fma_bf16x2,
}
