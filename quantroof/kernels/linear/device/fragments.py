"""Weights in the order that tensor cores use: a thread's 16 bytes are its fragments of operand A.

Packed so, a tile needs no shuffle and no second shared-memory layout: load, lop3, multiply. Rows of a block
of 64 belong to warp w, row half h and row g of 8, in the order `w h g`. Which columns a thread (row g, pair
t) holds depends on the instruction:

    wgmma, tcgen05   2 t, 2 t + 1, 2 t + 8, 2 t + 9 of every 16 columns          order of columns: .. s j t e
    mma.sync         2 or 4 times as many neighbors, WIDE: Triton permutes K of both operands so that a
    thread
                     loads whole 16-byte words                                   order of columns: .. t j e

    4 bits: [N/64, K/64, 2048] bytes, axes b c w g t r s then the four bytes of a word of 8 weights (h, j, e)
    8 bits: [N/64, K/32, 2048] bytes, axes b c w g t s j then the four bytes of a word of 4 weights (h, e)

Read from the linear layouts that Triton 3.7.1 prints; `quantroof compile` shows at once when they change,
because a layout conversion doubles the instructions per weight. The results are right for any order.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

# Axes of codes [N, K] split as b w h g c then columns, and the permutation to the packed order.
_ROWS = (4, 2, 8)
_ORDERS_4BIT = {
    False: ((2, 2, 2, 4, 2), "bwhgcrsjte"),
    True: ((2, 4, 2, 2, 2), "bwhgcrtsje"),
}
_ORDERS_8BIT = {
    False: ((2, 2, 4, 2), "bwhgcsjte"),
    True: ((2, 4, 2, 2), "bwhgcstje"),
}


def pack_4bit(codes: torch.Tensor, *, wide: bool, pairs: bool = False) -> torch.Tensor:
    """Pack codes [N, K] of 0..15 (N and K multiples of 64) into uint8 [N/64, K/64, 2048].

    Weight (h, j, e) of a word is nibble 4 e + 2 j + h, so that the halves of a register are neighbors in K
    after one mask. With `pairs` it is nibble 4 j + 2 h + e: neighbors in K are neighbors in the word.
    """
    columns, axes = _ORDERS_4BIT[wide]
    inside = "jhe" if pairs else "ejh"
    ordered = _split(codes, columns, axes, "bcwgtrs" + inside)
    packed = ordered[..., 0] | (ordered[..., 1] << 4)
    return packed.reshape(codes.shape[0] // 64, codes.shape[1] // 64, 2048)


def pack_8bit(codes: torch.Tensor, *, wide: bool) -> torch.Tensor:
    """Pack byte-sized codes [N, K] (N a multiple of 64, K of 32) into uint8 [N/64, K/32, 2048]."""
    columns, axes = _ORDERS_8BIT[wide]
    ordered = _split(codes.view(torch.uint8), columns, axes, "bcwgtsjeh")
    return ordered.reshape(codes.shape[0] // 64, codes.shape[1] // 32, 2048)


def _split(codes: torch.Tensor, columns: tuple[int, ...], axes: str, packed: str) -> torch.Tensor:
    width = 1
    for size in columns:
        width *= size
    split = codes.to(torch.uint8).view(codes.shape[0] // 64, *_ROWS, codes.shape[1] // width, *columns)
    return split.permute([axes.index(axis) for axis in packed]).contiguous()


@triton.jit
def words_4bit(packed, BN: tl.constexpr, BK: tl.constexpr):
    """uint8 [BN / 64, BK * 32] -> [b c w g t r s, 2, 2]: the last two axes are the four bytes of a word."""
    return packed.reshape(BN // 64, BK // 64, 4, 8, 4, 2, 2, 2, 2)


@triton.jit
def words_8bit(packed, BN: tl.constexpr, BK: tl.constexpr):
    """uint8 [BN / 64, BK * 64] -> [b c w g t s j, 2, 2]: the last two axes are the four bytes of a word."""
    return packed.reshape(BN // 64, BK // 32, 4, 8, 4, 2, 2, 2, 2)


@triton.jit
def restore_4bit(left, right, BN: tl.constexpr, BK: tl.constexpr, WIDE: tl.constexpr):
    """Column halves j = 0, 1, each [b c w g t r s h e] -> [BN, BK]: renames registers, moves nothing."""
    both = tl.join(left, right)  # b c w g t r s h e j
    if WIDE:
        return both.trans(0, 2, 7, 3, 1, 5, 4, 6, 9, 8).reshape(BN, BK)
    return both.trans(0, 2, 7, 3, 1, 5, 6, 9, 4, 8).reshape(BN, BK)


@triton.jit
def restore_8bit(values, BN: tl.constexpr, BK: tl.constexpr, WIDE: tl.constexpr):
    """[b c w g t s j h e] -> [BN, BK]."""
    if WIDE:
        return values.trans(0, 2, 7, 3, 1, 5, 4, 6, 8).reshape(BN, BK)
    return values.trans(0, 2, 7, 3, 1, 5, 6, 4, 8).reshape(BN, BK)


@triton.jit
def codes_4bit(packed, BN: tl.constexpr, BK: tl.constexpr, WIDE: tl.constexpr, PAIRS: tl.constexpr):
    """The codes 0..15 as int32 [BN, BK], by plain operations: what the assembly is a fast form of."""
    bytes_ = words_4bit(packed, BN, BK).to(tl.int32)
    both = tl.join(bytes_ & 15, bytes_ >> 4)
    if PAIRS:
        both = both.trans(0, 1, 2, 3, 4, 5, 6, 9, 7, 8)  # bytes are j h and nibbles e: now e j h, as without
    if WIDE:
        return both.trans(0, 2, 9, 3, 1, 5, 4, 6, 8, 7).reshape(BN, BK)
    return both.trans(0, 2, 9, 3, 1, 5, 6, 8, 4, 7).reshape(BN, BK)


@triton.jit
def codes_8bit(packed, BN: tl.constexpr, BK: tl.constexpr, WIDE: tl.constexpr):
    """The bytes as uint8 [BN, BK], by plain operations."""
    values = words_8bit(packed, BN, BK).trans(0, 1, 2, 3, 4, 5, 6, 8, 7)  # bytes are e h: now h e
    return restore_8bit(values, BN, BK, WIDE)


@triton.jit
def spread(per_group, BN: tl.constexpr, BK: tl.constexpr):
    """[BN, groups] of a tile -> the order of words_4bit, repeated over what shares a group of 32 or more."""
    groups: tl.constexpr = per_group.shape[1]
    per_block: tl.constexpr = groups * 64 // BK if groups * 64 > BK else 1  # groups in a block of 64 columns
    blocks: tl.constexpr = groups // per_block
    x = per_group.reshape(BN // 64, 4, 2, 8, blocks, 1, per_block, 1)  # b w h g c' 1 r' 1
    x = x.broadcast_to(BN // 64, 4, 2, 8, blocks, BK // 64 // blocks, per_block, 2 // per_block)
    x = x.reshape(BN // 64, 4, 2, 8, BK // 64, 2).trans(0, 4, 1, 3, 5, 2)  # b c w g r h
    x = x.reshape(BN // 64, BK // 64, 4, 8, 1, 2, 1, 2, 1)
    return x.broadcast_to(BN // 64, BK // 64, 4, 8, 4, 2, 2, 2, 2)


@triton.jit
def spread_by_16(per_group, BN: tl.constexpr, BK: tl.constexpr, WIDE: tl.constexpr):
    """Groups of 16: a thread's words s are of different groups, or its pairs t where it holds neighbors."""
    x = per_group.reshape(BN // 64, 4, 2, 8, BK // 64, 2, 2).trans(0, 4, 1, 3, 6, 5, 2)  # b c w g q r h
    if WIDE:
        x = x.reshape(BN // 64, BK // 64, 4, 8, 2, 1, 2, 1, 2, 1)  # b c w g q t' r 1 h 1
        x = x.broadcast_to(BN // 64, BK // 64, 4, 8, 2, 2, 2, 2, 2, 2)
        x = x.reshape(BN // 64, BK // 64, 4, 8, 4, 2, 2, 2, 2)
    else:
        x = x.trans(0, 1, 2, 3, 5, 4, 6).reshape(BN // 64, BK // 64, 4, 8, 1, 2, 2, 2, 1)  # b c w g 1 r s h 1
        x = x.broadcast_to(BN // 64, BK // 64, 4, 8, 4, 2, 2, 2, 2)
    return x


@triton.jit
def spread_plain(per_group, BN: tl.constexpr, BK: tl.constexpr):
    """[BN, groups] -> [BN, BK], each value repeated over its group."""
    groups: tl.constexpr = per_group.shape[1]
    return per_group.reshape(BN, groups, 1).broadcast_to(BN, groups, BK // groups).reshape(BN, BK)
