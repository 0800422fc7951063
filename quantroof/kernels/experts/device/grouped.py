"""y_e = x_e w_e^T of every expert e in one launch: the weights of an expert are rows, its tokens columns."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import dot, to_bf16
from quantroof.kernels.linear.device.unpack import unpack_scaled
from quantroof.kernels.linear.device.weight_only import scales_of


@triton.jit(do_not_specialize=["ALL_N"])
def grouped_linear(
    x, w, w_scale, whole, x_scale, plan, y, ALL_N, N, K,
    BN: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, KIND: tl.constexpr,
    WIDE: tl.constexpr, MASKED: tl.constexpr, SLOTS: tl.constexpr,
):  # fmt: skip
    """Grid: (N / BN, tiles of rows). KIND: "plain" and "scaled" (rows of x and of w) read w [ALL_N, K];
    "int4" and "fp4" read it as `fragments` packs it, with scales as `scales_of` reads them.

    plan int32 has (expert, first row, rows left) per tile of rows, or where MASKED the rows of each expert,
    which then start at SLOTS x BM x expert. ALL_N counts the rows of all experts' weights.
    """
    tile_n, tile_m = tl.program_id(0), tl.program_id(1)
    if MASKED:
        expert = tile_m // SLOTS
        first = tile_m * BM
        left = tl.load(plan + expert) - (tile_m % SLOTS) * BM
    else:
        expert = tl.load(plan + tile_m * 3)
        first = tl.load(plan + tile_m * 3 + 1)
        left = tl.load(plan + tile_m * 3 + 2)
    if left > 0:
        column = tl.arange(0, BM)
        inside = (column < left)[None, :]
        m = (first + column).to(tl.int64)
        tile_w = expert * (N // BN) + tile_n  # of the weights of all experts
        n = tile_w * BN + tl.arange(0, BN)
        k = tl.arange(0, BK)
        x_at = x + m[None, :] * K + k[:, None]
        acc = tl.zeros((BN, BM), tl.float32)
        if KIND == "plain" or KIND == "scaled":
            w_at = w + n[:, None].to(tl.int64) * K + k[None, :]
            for _ in range(0, K, BK):
                acc = dot(tl.load(w_at), tl.load(x_at, mask=inside, other=0.0), acc)
                w_at += BK
                x_at += BK
            if KIND == "scaled":
                rows = tl.load(x_scale + m, mask=column < left, other=0.0)
                acc *= tl.load(w_scale + n)[:, None] * rows[None, :]
        else:
            block = tile_w * (BN // 64) + tl.arange(0, BN // 64)
            w_at = w + block[:, None].to(tl.int64) * (K * 32) + tl.arange(0, BK * 32)[None, :]
            for step in range(K // BK):
                words = tl.load(w_at)
                scale = to_bf16(scales_of(w_scale, step, tile_w, ALL_N, BN, BK, GROUP, KIND))
                weights = unpack_scaled(words, 0, scale, BN, BK, KIND, WIDE)
                acc = dot(weights, tl.load(x_at, mask=inside, other=0.0), acc)
                w_at += BK * 32
                x_at += BK
            if KIND == "fp4":
                acc *= tl.load(whole).to(tl.float32, bitcast=True)
        own = tile_n * BN + tl.arange(0, BN)
        tl.store(y + m[None, :] * N + own[:, None], to_bf16(acc), mask=inside)
