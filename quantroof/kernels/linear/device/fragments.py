"""Weights in the order in which tensor cores take them: a thread's 16 bytes are its fragments of operand A.

One m64k16 fragment of `wgmma` (and four m16k16 ones of `mma.sync`, one a warp) gives thread 4 g + t of warp w
the rows 16 w + g and 16 w + g + 8 and the columns 2 t, 2 t + 1, 2 t + 8, 2 t + 9. Packed so, a tile needs no
shuffle and no second shared-memory layout: load, lop3, multiply. The axes are named

    b: block of 64 rows     w: warp     h: row half        g: row of 8
    c: block of columns     s: k-step of 16     j: column half     t: pair of columns     e: column of the
    pair

A 4-bit word holds the 8 weights (h, j, e) of one k-step, weight (h, j, e) at bit 16 e + 8 j + 4 h; the words
of four k-steps are adjacent, then t, g, w: [N/64, K/64, 2048] bytes.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

from quantroof.kernels.linear.device.numerics import INTERPRETED

ROWS = 64
COLUMNS = 64


def pack_4bit(codes: torch.Tensor) -> torch.Tensor:
    """Pack codes [N, K] of 0..15 (N and K multiples of 64) into uint8 [N/64, K/64, 2048]."""
    n, k = codes.shape
    split = codes.view(n // ROWS, 4, 2, 8, k // COLUMNS, 4, 2, 4, 2)  # b w h g c s j t e
    ordered = split.permute(0, 4, 1, 3, 7, 5, 8, 6, 2).to(torch.uint8)  # b c w g t s e j h
    # Byte 2 e + j of a word holds row half 0 in its low nibble and row half 1 in its high one.
    packed = ordered[..., 0] | (ordered[..., 1] << 4)
    return packed.reshape(n // ROWS, k // COLUMNS, 2048)


def _unpack_4bit_asm(*, zeros: bool, scales: bool) -> tl.constexpr:
    """PTX that turns one word ($4) into four bf16 pairs: the rows (h = 0, 1, 0, 1) of column halves (0, 0, 1,
    1).

    bf16 0x4300 is 128 with a mantissa step of 1, so 0x4300 | q is 128 + q: one lop3 makes numbers of two
    codes. Adding -(128 + zero) is exact, for all these are integers below 256. Scaling is an fma with -0,
    because mul.bf16x2 needs sm_90. Zeros and scales arrive as two registers, one a row half.
    """
    minus = ("$5", "$6") if zeros else ("minus", "minus")
    first_scale = 7 if zeros else 5
    lines = [
        ".reg .b32 one, minus, negzero, word1, word2, word3;",
        "mov.b32 one, 0x3f803f80;",
        "mov.b32 minus, 0xc308c308;",  # -136: code 8 is zero where there are no zero points
        "mov.b32 negzero, 0x80008000;",
        *(f"shr.u32 word{i}, $4, {4 * i};" for i in (1, 2, 3)),
        *(f"lop3.b32 ${i}, {f'word{i}' if i else '$4'}, 0x000f000f, 0x43004300, 0xea;" for i in range(4)),
        *(f"fma.rn.bf16x2 ${i}, ${i}, one, {minus[i % 2]};" for i in range(4)),
    ]
    if scales:
        lines += [f"fma.rn.bf16x2 ${i}, ${i}, ${first_scale + i % 2}, negzero;" for i in range(4)]
    return tl.constexpr("{" + " ".join(lines) + "}")


_PLAIN = _unpack_4bit_asm(zeros=False, scales=False)
_ZEROS = _unpack_4bit_asm(zeros=True, scales=False)
_SCALES = _unpack_4bit_asm(zeros=False, scales=True)
_BOTH = _unpack_4bit_asm(zeros=True, scales=True)


@triton.jit
def unpack_4bit(packed, BN: tl.constexpr, BK: tl.constexpr):
    """uint8 [BN / 64, BK * 32] of packed codes -> bf16 [BN, BK] of codes minus 8."""
    if INTERPRETED:
        # By way of fp32: the interpreter casts integers to bf16 wrongly.
        return (codes_4bit(packed, BN, BK) - 8).to(tl.float32).to(tl.bfloat16)
    words = packed.reshape(BN // 64, BK // 64, 4, 8, 4, 4, 2, 2)  # b c w g t s, then 4 bytes that mean h e
    halves = tl.inline_asm_elementwise(
        _PLAIN, "=r,=r,=r,=r,r", [words], dtype=(tl.bfloat16, tl.bfloat16), is_pure=True, pack=4
    )
    return _restore(halves[0], halves[1], BN, BK)


@triton.jit
def unpack_4bit_scaled(packed, scales, BN: tl.constexpr, BK: tl.constexpr):
    """As unpack_4bit, times bf16 scales [BN, groups] of the tile: bf16 [BN, BK], rounded once."""
    if INTERPRETED:
        codes = (codes_4bit(packed, BN, BK) - 8).to(tl.float32)
        return (codes * spread_plain(scales, BN, BK).to(tl.float32)).to(tl.bfloat16)
    words = packed.reshape(BN // 64, BK // 64, 4, 8, 4, 4, 2, 2)
    halves = tl.inline_asm_elementwise(
        _SCALES,
        "=r,=r,=r,=r,r,r,r",
        [words, spread(scales, BN, BK)],
        dtype=(tl.bfloat16, tl.bfloat16),
        is_pure=True,
        pack=4,
    )
    return _restore(halves[0], halves[1], BN, BK)


@triton.jit
def _restore(left, right, BN: tl.constexpr, BK: tl.constexpr):
    """Column halves [b c w g t s h e] -> [BN, BK]: renames registers, moves nothing."""
    both = tl.join(left, right)  # b c w g t s h e j
    return both.trans(0, 2, 6, 3, 1, 5, 8, 4, 7).reshape(BN, BK)  # b w h g | c s j t e


@triton.jit
def codes_4bit(packed, BN: tl.constexpr, BK: tl.constexpr):
    """The codes 0..15 as int32 [BN, BK], by plain operations: the twin of the assembly."""
    parts = packed.reshape(BN // 64, BK // 64, 4, 8, 4, 4, 2, 2).to(tl.int32)  # b c w g t s e j
    both = tl.join(parts & 15, parts >> 4)  # ... h
    return both.trans(0, 2, 8, 3, 1, 5, 7, 4, 6).reshape(BN, BK)


@triton.jit
def spread(per_group, BN: tl.constexpr, BK: tl.constexpr):
    """[BN, groups] of a tile -> the packed order [b c w g t s h e], repeated along what shares a group.

    Groups are 32 columns or more, so a group covers whole k-steps of 16, two or more.
    """
    groups: tl.constexpr = per_group.shape[1]
    per_block: tl.constexpr = groups * 64 // BK if groups * 64 > BK else 1  # groups in a block of 64 columns
    blocks: tl.constexpr = groups // per_block
    x = per_group.reshape(BN // 64, 4, 2, 8, blocks, 1, per_block, 1)  # b w h g c' 1 s' 1
    x = x.broadcast_to(BN // 64, 4, 2, 8, blocks, BK // 64 // blocks, per_block, 4 // per_block)
    x = x.reshape(BN // 64, 4, 2, 8, BK // 64, 4).trans(0, 4, 1, 3, 5, 2)  # b c w g s h
    x = x.reshape(BN // 64, BK // 64, 4, 8, 1, 4, 2, 1)
    return x.broadcast_to(BN // 64, BK // 64, 4, 8, 4, 4, 2, 2)


@triton.jit
def spread_plain(per_group, BN: tl.constexpr, BK: tl.constexpr):
    """[BN, groups] -> [BN, BK], each value repeated over its group."""
    groups: tl.constexpr = per_group.shape[1]
    return per_group.reshape(BN, groups, 1).broadcast_to(BN, groups, BK // groups).reshape(BN, BK)
