"""Unpack tiles of codes to bf16 [BN, BK]: each format in PTX, and as a twin in plain operations.

The interpreter runs the twins; the assembly is held to the same values by the tests' model of PTX. A pair of
result types is written out in each call: Triton 3.8 and later refuse one that is passed as a constexpr.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import INTERPRETED, to_bf16
from quantroof.kernels.formats import e2m1_levels
from quantroof.kernels.linear.device import assembly, nf4_bits
from quantroof.kernels.linear.device.fp4_bits import codes_fp4
from quantroof.kernels.linear.device.fragments import (
    codes_4bit,
    codes_8bit,
    restore_4bit,
    restore_8bit,
    spread,
    spread_by_16,
    spread_plain,
    words_4bit,
    words_8bit,
)

_INT4 = assembly.INT4
_INT4_SCALED = assembly.INT4_SCALED
_INT4_ZEROS = assembly.INT4_ZEROS
_INT4_ZEROS_SCALED = assembly.INT4_ZEROS_SCALED
_NF4_SCALED = assembly.NF4_SCALED
_FP4_SCALED = assembly.FP4_SCALED
_INT8 = assembly.INT8
_FP8_E4M3 = assembly.FP8_E4M3
_NF4_LEVELS = tl.constexpr(nf4_bits.LEVELS)
_NF4_UNIT = tl.constexpr(2.0**nf4_bits.EXPONENT)
_E2M1_LEVELS = tl.constexpr(e2m1_levels())


@triton.jit
def unpack(packed, zeros, BN: tl.constexpr, BK: tl.constexpr, KIND: tl.constexpr, WIDE: tl.constexpr):
    """Unscaled values of a tile. KIND: int4, int4_zeros, int8 or fp8; zeros [BN, groups] int16."""
    if INTERPRETED:
        values = to_bf16(_plain(packed, zeros, BN, BK, KIND, WIDE))
    elif KIND == "int8":
        values = restore_8bit(_pairs_8bit(_INT8, words_8bit(packed, BN, BK)), BN, BK, WIDE)
    elif KIND == "fp8":
        values = restore_8bit(_pairs_8bit(_FP8_E4M3, words_8bit(packed, BN, BK)), BN, BK, WIDE)
    else:
        values = _unpack_4bit(packed, zeros, BN, BK, KIND, WIDE)
    return values


@triton.jit
def _unpack_4bit(packed, zeros, BN: tl.constexpr, BK: tl.constexpr, KIND: tl.constexpr, WIDE: tl.constexpr):
    words = words_4bit(packed, BN, BK)
    if KIND == "int4_zeros":
        offsets = spread((zeros | 0x4300).to(tl.int16).to(tl.bfloat16, bitcast=True), BN, BK)
        halves = tl.inline_asm_elementwise(
            _INT4_ZEROS,
            "=r,=r,=r,=r,r,r,r",
            [words, offsets],
            dtype=(tl.bfloat16, tl.bfloat16),
            is_pure=True,
            pack=4,
        )
    else:
        halves = tl.inline_asm_elementwise(
            _INT4, "=r,=r,=r,=r,r", [words], dtype=(tl.bfloat16, tl.bfloat16), is_pure=True, pack=4
        )
    return restore_4bit(halves[0], halves[1], BN, BK, WIDE)


@triton.jit
def unpack_scaled(
    packed, zeros, scales, BN: tl.constexpr, BK: tl.constexpr, KIND: tl.constexpr, WIDE: tl.constexpr
):
    """Values of a 4-bit tile times bf16 scales [BN, groups], rounded to bf16; fp4 and nf4 have no other."""
    if INTERPRETED:
        values = to_bf16(_plain(packed, zeros, BN, BK, KIND, WIDE)).to(tl.float32)
        # The assembly's fp4 and nf4 values are too small, their scales too large; the twin's are not.
        four: tl.constexpr = 2.0**-126 if KIND == "fp4" else 1.0
        unit: tl.constexpr = _NF4_UNIT if KIND == "nf4" else four
        scaled = to_bf16(values * (spread_plain(scales, BN, BK).to(tl.float32) * unit))
    else:
        scaled = _unpack_4bit_scaled(packed, zeros, scales, BN, BK, KIND, WIDE)
    return scaled


@triton.jit
def _unpack_4bit_scaled(
    packed, zeros, scales, BN: tl.constexpr, BK: tl.constexpr, KIND: tl.constexpr, WIDE: tl.constexpr
):
    words = words_4bit(packed, BN, BK)
    if KIND == "fp4" and scales.shape[1] * 16 == BK:
        factors = spread_by_16(scales, BN, BK, WIDE)
    else:
        factors = spread(scales, BN, BK)
    if KIND == "int4_zeros":
        offsets = spread((zeros | 0x4300).to(tl.int16).to(tl.bfloat16, bitcast=True), BN, BK)
        halves = tl.inline_asm_elementwise(
            _INT4_ZEROS_SCALED,
            "=r,=r,=r,=r,r,r,r,r,r",
            [words, offsets, factors],
            dtype=(tl.bfloat16, tl.bfloat16),
            is_pure=True,
            pack=4,
        )
    else:
        four: tl.constexpr = _FP4_SCALED if KIND == "fp4" else _INT4_SCALED
        code: tl.constexpr = _NF4_SCALED if KIND == "nf4" else four
        halves = tl.inline_asm_elementwise(
            code,
            "=r,=r,=r,=r,r,r,r",
            [words, factors],
            dtype=(tl.bfloat16, tl.bfloat16),
            is_pure=True,
            pack=4,
        )
    return restore_4bit(halves[0], halves[1], BN, BK, WIDE)


@triton.jit
def _pairs_8bit(code: tl.constexpr, words):
    return tl.inline_asm_elementwise(code, "=r,=r,r", [words], dtype=tl.bfloat16, is_pure=True, pack=4)


@triton.jit
def _plain(packed, zeros, BN: tl.constexpr, BK: tl.constexpr, KIND: tl.constexpr, WIDE: tl.constexpr):
    """The twin: fp32 [BN, BK]. By way of fp32, because the interpreter casts integers to bf16 wrongly."""
    if KIND == "int8":
        values = codes_8bit(packed, BN, BK, WIDE).to(tl.int8, bitcast=True).to(tl.float32)
    elif KIND == "fp8":
        values = codes_8bit(packed, BN, BK, WIDE).to(tl.float8e4nv, bitcast=True).to(tl.float32)
    elif KIND == "fp4":
        codes = codes_fp4(packed, BN, BK, WIDE)
        values = tl.zeros((BN, BK), tl.float32)
        for index in tl.static_range(16):
            values += tl.where(codes == index, _E2M1_LEVELS[index], 0.0)
    else:
        codes = codes_4bit(packed, BN, BK, WIDE, KIND == "nf4")
        if KIND == "nf4":
            values = tl.zeros((BN, BK), tl.float32)
            for index in tl.static_range(16):
                values += tl.where(codes == index, _NF4_LEVELS[index], 0.0)
        elif KIND == "int4_zeros":
            values = (codes - spread_plain(zeros, BN, BK).to(tl.int32)).to(tl.float32)
        else:
            values = (codes - 8).to(tl.float32)
    return values
