"""PTX that turns packed codes into bf16 pairs. Tests check every value against a model of PTX.

bf16 0x4300 is 128 with a mantissa step of 1, so 0x4300 | q is 128 + q for q < 128: one lop3 makes numbers of
two codes. Subtracting 128 again is exact, for all these are integers of at most 256. Multiplication is an fma
with -0, because mul.bf16x2 and sub.bf16x2 need sm_90.
"""

from __future__ import annotations

import triton.language as tl

from quantroof.kernels.linear.device.fp4_bits import KEPT, LAST_ROTATION, PLACES, ROTATIONS
from quantroof.kernels.linear.device.nf4_bits import byte_tables

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


def _nf4() -> tl.constexpr:
    """$4: a word of nibbles 4 j + 2 h + e of nf4_bits. $0..$3 as for int4, times the scales in $5 and $6.

    prmt picks bytes out of eight. High bytes depend on the low three bits of a nibble: one look-up. Low bytes
    are looked up for both values of the top bit, and a third prmt chooses: nibble i of its selector is i, or
    i + 4 if the bit is set. The first operand of prmt has to be a register, and ptxas copies a constant into
    one in front of each prmt. It keeps what it cannot know: constants that the sign of a scale, which is 0,
    seems to change.
    """
    (low0, low1, low2, low3), (high0, high1) = byte_tables()
    lines = [
        ".reg .b32 pick, codes, lows, highs, below, negzero, zero, low0, low2, high0;",
        "shr.u32 zero, $5, 31;",
        f"xor.b32 low0, zero, {low0:#010x};",
        f"xor.b32 low2, zero, {low2:#010x};",
        f"xor.b32 high0, zero, {high0:#010x};",
        "and.b32 codes, $4, 0x77777777;",
        "shr.u32 pick, $4, 1;",
        f"lop3.b32 pick, pick, 0x44444444, 0x32103210, {_AND_OR};",
    ]
    for half in range(2):
        if half:
            lines += ["shr.u32 codes, codes, 16;", "shr.u32 pick, pick, 16;"]
        lines += [
            f"prmt.b32 below, low0, {low1:#010x}, codes;",
            f"prmt.b32 lows, low2, {low3:#010x}, codes;",
            "prmt.b32 lows, below, lows, pick;",
            f"prmt.b32 highs, high0, {high1:#010x}, codes;",
            f"prmt.b32 ${2 * half}, lows, highs, 0x5140;",
            f"prmt.b32 ${2 * half + 1}, lows, highs, 0x7362;",
        ]
    return _block(*lines, *_scaled(5))


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
NF4_SCALED = _nf4()
FP4_SCALED = _fp4_scaled()
INT8 = _int8()
FP8_E4M3 = _fp8_e4m3()
