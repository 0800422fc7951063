"""PTX that turns packed codes into bf16 pairs. Tests check every value against a model of PTX.

bf16 0x4300 is 128 with a mantissa step of 1, so 0x4300 | q is 128 + q for q < 128: one lop3 makes numbers of
two codes. Subtracting 128 again is exact, for all these are integers of at most 256. Multiplication is an fma
with -0, because mul.bf16x2 and sub.bf16x2 need sm_90.
"""

from __future__ import annotations

import struct

import triton.language as tl

from quantroof.kernels.formats import nf4_levels
from quantroof.kernels.linear.device.fp4_bits import KEPT, LAST_ROTATION, PLACES, ROTATIONS

_NEGATIVE_ZERO = "mov.b32 negzero, 0x80008000;"
_AND_OR = "0xea"  # the lop3 table of (a & b) | c


def _block(*lines: str) -> tl.constexpr:
    return tl.constexpr("{" + " ".join(lines) + "}")


def _scaled(first_scale: int) -> list[str]:
    """Multiply the rows h = 0, 1, 0, 1 in $0..$3 by the scales in two registers, one per row half."""
    return [
        _NEGATIVE_ZERO,
        *(f"fma.rn.bf16x2 ${i}, ${i}, ${first_scale + i % 2}, negzero;" for i in range(4)),
    ]


def _int4(*, zeros: bool, scales: bool) -> tl.constexpr:
    """$4: a word of nibbles 4 e + 2 j + h. $0..$3: (h, j) = (0, 0) (1, 0) (0, 1) (1, 1), pairs along e.

    With zeros, $5 and $6 hold 128 + zero of the two row halves; scales follow.
    """
    offset = ("$5", "$6") if zeros else ("offset", "offset")
    return _block(
        ".reg .b32 minusone, offset, negzero, word1, word2, word3;",
        "mov.b32 minusone, 0xbf80bf80;",
        "mov.b32 offset, 0x43084308;",  # 136: code 8 stands for zero where there are no zero points
        *(f"shr.u32 word{i}, $4, {4 * i};" for i in (1, 2, 3)),
        *(
            f"lop3.b32 ${i}, {f'word{i}' if i else '$4'}, 0x000f000f, 0x43004300, {_AND_OR};"
            for i in range(4)
        ),
        *(f"fma.rn.bf16x2 ${i}, {offset[i % 2]}, minusone, ${i};" for i in range(4)),
        *(_scaled(7 if zeros else 5) if scales else ()),
    )


def _nf4(*, scales: bool) -> tl.constexpr:
    """$4: a word of nibbles 4 j + 2 h + e. $0..$3 as for int4.

    Levels are looked up by prmt, which picks bytes out of eight: low and high bytes of the 16 bf16 levels lie
    in four registers each. Both halves of a table are asked for the low three bits of four codes, and a third
    prmt chooses between them by the codes' top bits: nibble i of its selector is i, or i + 4 if the bit is
    set.
    """
    low, high = _nf4_tables()
    lines = [
        ".reg .b32 a, b, pick, lows, highs, below;",
        ".reg .b32 " + ", ".join(f"{name}{i}" for name in ("low", "high") for i in range(4)) + ";",
        *(f"mov.b32 low{i}, {value:#010x};" for i, value in enumerate(low)),
        *(f"mov.b32 high{i}, {value:#010x};" for i, value in enumerate(high)),
    ]
    for half in range(2):
        word = "$4" if half == 0 else "b"
        if half:
            lines.append("shr.u32 b, $4, 16;")
        lines += [
            f"shr.u32 pick, {word}, 1;",
            f"lop3.b32 pick, pick, 0x4444, 0x3210, {_AND_OR};",
            f"and.b32 a, {word}, 0x7777;",
        ]
        for bytes_, table in (("lows", "low"), ("highs", "high")):
            lines += [
                f"prmt.b32 below, {table}0, {table}1, a;",
                f"prmt.b32 {bytes_}, {table}2, {table}3, a;",
                f"prmt.b32 {bytes_}, below, {bytes_}, pick;",
            ]
        lines += [
            f"prmt.b32 ${2 * half}, lows, highs, 0x5140;",
            f"prmt.b32 ${2 * half + 1}, lows, highs, 0x7362;",
        ]
    if scales:
        lines = [".reg .b32 negzero;", *lines, *_scaled(5)]
    return _block(*lines)


def _nf4_tables() -> tuple[list[int], list[int]]:
    """Low and high bytes of the 16 levels, rounded to bf16, four bytes per register."""
    codes = [_bf16_bits(level) for level in nf4_levels()]
    tables = ([code & 0xFF for code in codes], [code >> 8 for code in codes])
    low, high = ([int.from_bytes(bytes(t[i : i + 4]), "little") for i in range(0, 16, 4)] for t in tables)
    return low, high


def _bf16_bits(value: float) -> int:
    bits: int = struct.unpack("<I", struct.pack("<f", value))[0]
    return (bits + 0x7FFF + (bits >> 16 & 1)) >> 16


def _int8() -> tl.constexpr:
    """$2: a word of bytes 2 e + h, int8. $0, $1: row halves, pairs along e.

    The low 7 bits become 128 + low, the sign bit 128 or 256 by the same trick; the difference is the value.
    """
    lines = [
        ".reg .b32 word, low, sign, minusone;",
        "mov.b32 minusone, 0xbf80bf80;",
        "shr.u32 word, $2, 8;",
    ]
    for index, word in enumerate(("$2", "word")):
        lines += [
            f"lop3.b32 low, {word}, 0x007f007f, 0x43004300, {_AND_OR};",
            f"lop3.b32 sign, {word}, 0x00800080, 0x43004300, {_AND_OR};",
            f"fma.rn.bf16x2 ${index}, sign, minusone, low;",
        ]
    return _block(*lines)


def _fp8_e4m3() -> tl.constexpr:
    """$2: a word of bytes 2 e + h, e4m3. $0, $1: row halves, pairs along e.

    Sign and the 7 other bits moved to bf16's places give the value times 2^-120, for the exponent biases are
    7 and 127; subnormals come out right because bf16 has them too. NaN (0x7f) would become 480: refused
    before.
    """
    return _block(
        ".reg .b32 sign, shifted, scale, negzero;",
        "mov.b32 scale, 0x7b807b80;",  # 2^120
        _NEGATIVE_ZERO,
        "shl.b32 sign, $2, 8;",
        "and.b32 sign, sign, 0x80008000;",
        "shl.b32 shifted, $2, 4;",
        f"lop3.b32 $0, shifted, 0x07f007f0, sign, {_AND_OR};",
        "and.b32 sign, $2, 0x80008000;",
        "shr.u32 shifted, $2, 4;",
        f"lop3.b32 $1, shifted, 0x07f007f0, sign, {_AND_OR};",
        "fma.rn.bf16x2 $0, $0, scale, negzero;",
        "fma.rn.bf16x2 $1, $1, scale, negzero;",
    )


def _fp4_scaled() -> tl.constexpr:
    """$4: a word of fp4_bits. $0..$3 as for int4, times the scales in $5 and $6, which hold 2^126 too."""
    mask = sum(1 << place for place in PLACES) * 0x10001
    kept = (1 << KEPT) * 0x10001
    masked = [(index, turn, f"{mask:#010x}") for index, turn in enumerate(ROTATIONS)]
    return _block(
        ".reg .b32 turned, negzero;",
        *(
            line
            for index, turn, bits in masked
            for line in (
                f"shf.l.wrap.b32 turned, $4, $4, {turn};",
                f"and.b32 ${index}, turned, {mask:#010x};",
            )
        ),
        f"shf.l.wrap.b32 turned, $4, $4, {LAST_ROTATION};",
        f"and.b32 turned, turned, {mask & ~kept:#010x};",
        f"lop3.b32 $3, $4, {kept:#010x}, turned, {_AND_OR};",
        *_scaled(5),
    )


INT4 = _int4(zeros=False, scales=False)
INT4_SCALED = _int4(zeros=False, scales=True)
INT4_ZEROS = _int4(zeros=True, scales=False)
INT4_ZEROS_SCALED = _int4(zeros=True, scales=True)
NF4 = _nf4(scales=False)
NF4_SCALED = _nf4(scales=True)
FP4_SCALED = _fp4_scaled()
INT8 = _int8()
FP8_E4M3 = _fp8_e4m3()
