"""The plainest product of each format, as a user of Triton writes it: the compiler decides what it becomes.

Blocks are loaded through pointers and no size is masked, so that nothing but the format decides the code.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def plain_product(
    a, b, c, N, K,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, INT: tl.constexpr,
):  # fmt: skip
    """c[M, N] = a[M, K] b[N, K]^T by `tl.dot`, in bf16 (int32 where INT)."""
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    acc = tl.zeros((BM, BN), tl.int32 if INT else tl.float32)
    a_block = a + m[:, None] * K + k[None, :]
    b_block = b + n[None, :] * K + k[:, None]
    for _ in tl.range(0, K // BK):
        acc = tl.dot(tl.load(a_block), tl.load(b_block), acc, out_dtype=acc.dtype)
        a_block += BK
        b_block += BK
    tl.store(c + m[:, None] * N + n[None, :], acc.to(c.dtype.element_ty))


@triton.jit
def scaled_product(
    a, b, a_scale, b_scale, c, N, K,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BLOCK: tl.constexpr,
    A_FORMAT: tl.constexpr, B_FORMAT: tl.constexpr, A_PACK: tl.constexpr, B_PACK: tl.constexpr,
    A_SCALED: tl.constexpr, B_SCALED: tl.constexpr,
):  # fmt: skip
    """c[M, N] = a[M, K] b[N, K]^T by `tl.dot_scaled`, with a scale per BLOCK elements of a row.

    A_PACK and B_PACK elements share a byte. An operand that is not scaled is bf16.
    """
    m = tl.program_id(0) * BM + tl.arange(0, BM)
    n = tl.program_id(1) * BN + tl.arange(0, BN)
    a_k = tl.arange(0, BK // A_PACK)
    b_k = tl.arange(0, BK // B_PACK)
    blocks = tl.arange(0, BK // BLOCK)
    acc = tl.zeros((BM, BN), tl.float32)
    a_block = a + m[:, None] * (K // A_PACK) + a_k[None, :]
    b_block = b + n[None, :] * (K // B_PACK) + b_k[:, None]
    a_scales = a_scale + m[:, None] * (K // BLOCK) + blocks[None, :]
    b_scales = b_scale + n[:, None] * (K // BLOCK) + blocks[None, :]
    for _ in tl.range(0, K // BK):
        a_factors = tl.load(a_scales) if A_SCALED else None
        b_factors = tl.load(b_scales) if B_SCALED else None
        acc = tl.dot_scaled(tl.load(a_block), a_factors, A_FORMAT, tl.load(b_block), b_factors, B_FORMAT, acc)
        a_block += BK // A_PACK
        b_block += BK // B_PACK
        a_scales += BK // BLOCK
        b_scales += BK // BLOCK
    tl.store(c + m[:, None] * N + n[None, :], acc.to(tl.bfloat16))
