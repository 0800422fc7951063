"""NF4's levels as bf16, chosen so that eight bytes and not sixteen are the high bytes of all sixteen.

A look-up of eight bytes costs one `prmt`, one of sixteen costs three. The high byte of a bf16 number is its
sign and the upper seven bits of its exponent. Levels are stored as multiples of UNIT times 2^-125, so that
the exponents 0 and 1 are those below UNIT: -0.09 and zero then share the high byte of -0, and all others have
a partner as well. Which nibble stands for which level is free, because packing happens offline: partners
differ in the top bit.

UNIT, 0.1740074, is the one in [0.1609, 0.1741), where the partners exist, at which the rounding to bf16 errs
least: 0.17 % at most, where the levels as they are err up to 0.31 %. The scales hold UNIT and 2^125.
"""

from __future__ import annotations

import struct
from collections import defaultdict

from quantroof.kernels.formats import nf4_levels

UNIT = 0.1740074
"""What a stored level of 1 stands for."""
EXPONENT = -125
"""The power of two by which bf16 numbers are smaller than stored levels."""
_SMALLEST = 2.0**-8  # the step of bf16's two lowest exponents, 2^-133, over 2^-125


def _stored(level: float) -> float:
    """A level in units of UNIT, rounded to nearest on the grid of bf16 times 2^125."""
    value = abs(level) / UNIT
    step = _SMALLEST
    while value >= 256 * step:  # 8 significant bits
        step *= 2
    return round(value / step) * step * (-1.0 if level <= 0 else 1.0)  # zero is -0


def _bits(stored: float) -> int:
    """The bf16 number of a stored level, exact."""
    bits: int = struct.unpack("<I", struct.pack("<f", stored * 2.0**EXPONENT))[0]
    return bits >> 16


def _nibbles() -> tuple[int, ...]:
    """For each NF4 code its nibble: levels of equal high bytes in twos, told apart by bit 3."""
    alike: dict[int, list[int]] = defaultdict(list)
    for code, level in enumerate(nf4_levels()):
        alike[_bits(_stored(level)) >> 8].append(code)
    partners = [codes[at : at + 2] for codes in alike.values() for at in range(0, len(codes), 2)]
    place = {code: low + 8 * top for low, two in enumerate(partners) for top, code in enumerate(two)}
    return tuple(place[code] for code in range(16))


NIBBLES = _nibbles()
"""The nibble of each NF4 code."""
LEVELS = tuple(_stored(nf4_levels()[NIBBLES.index(nibble)]) for nibble in range(16))
"""The stored level of each nibble, in units of UNIT."""


def byte_tables() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The levels' 16 low and 8 high bytes by nibble, four bytes per word."""
    bits = [_bits(level) for level in LEVELS]
    low, high = [code & 0xFF for code in bits], [code >> 8 for code in bits[:8]]
    return _words(low), _words(high)


def _words(table: list[int]) -> tuple[int, ...]:
    return tuple(int.from_bytes(bytes(table[at : at + 4]), "little") for at in range(0, len(table), 4))
