"""y[M, N] = x[M, K] w[N, K]^T with 8-bit block scales on both sides, by the matrix units' own instructions.

One kernel in two positions. TURNED takes the product transposed, with the weights as rows: matrix units of
Blackwell require 128 rows and accept as few as 16 columns, so a small batch is placed in the columns.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import to_bf16
from quantroof.kernels.linear.device.splitk import reduce_parts


@triton.jit(do_not_specialize=["M"])
def scaled_linear(
    x, w, x_scale, w_scale, x_tensor, w_tensor, y, partials, counters, M, N, K,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, BLOCK: tl.constexpr, SPLIT: tl.constexpr,
    X_FORMAT: tl.constexpr, W_FORMAT: tl.constexpr, X_PACK: tl.constexpr, W_PACK: tl.constexpr,
    TURNED: tl.constexpr, TENSOR_SCALED: tl.constexpr,
):  # fmt: skip
    """x [M, K / X_PACK], w [N, K / W_PACK], scales [rows, K / BLOCK], y bf16 [M, N]; K a multiple of BK.

    The tile has BM activations and BN weights, the weights as rows where TURNED. Grid: (tiles of rows, SPLIT,
    tiles of columns). Rows past the edge read the last row; they are not stored.
    """
    BR: tl.constexpr = BN if TURNED else BM
    BC: tl.constexpr = BM if TURNED else BN
    tile_r, part, tile_c = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    r = tile_r * BR + tl.arange(0, BR)
    c = tile_c * BC + tl.arange(0, BC)
    if TURNED:
        m, n = tl.minimum(c, M - 1).to(tl.int64), tl.minimum(r, N - 1).to(tl.int64)
    else:
        m, n = tl.minimum(r, M - 1).to(tl.int64), tl.minimum(c, N - 1).to(tl.int64)
    steps = K // BK
    per_part = (steps + SPLIT - 1) // SPLIT
    start = part * per_part
    stop = tl.minimum(start + per_part, steps)
    x_k = start * (BK // X_PACK) + tl.arange(0, BK // X_PACK)
    w_k = start * (BK // W_PACK) + tl.arange(0, BK // W_PACK)
    block = start * (BK // BLOCK) + tl.arange(0, BK // BLOCK)
    x_at = x + m[:, None] * (K // X_PACK) + x_k[None, :]
    w_at = w + n[:, None] * (K // W_PACK) + w_k[None, :]
    x_scale_at = x_scale + m[:, None] * (K // BLOCK) + block[None, :]
    w_scale_at = w_scale + n[:, None] * (K // BLOCK) + block[None, :]
    acc = tl.zeros((BR, BC), tl.float32)
    for _ in range(start, stop):
        xs, ws = tl.load(x_scale_at), tl.load(w_scale_at)
        if TURNED:
            acc = tl.dot_scaled(tl.load(w_at), ws, W_FORMAT, tl.load(x_at).T, xs, X_FORMAT, acc)
        else:
            acc = tl.dot_scaled(tl.load(x_at), xs, X_FORMAT, tl.load(w_at).T, ws, W_FORMAT, acc)
        x_at += BK // X_PACK
        w_at += BK // W_PACK
        x_scale_at += BK // BLOCK
        w_scale_at += BK // BLOCK
    last = True
    if SPLIT > 1:
        tile = tile_c * tl.num_programs(0) + tile_r
        acc, last = reduce_parts(acc, partials, counters, tile, part, M - tile_c * BC, SPLIT)
    if last:
        if TENSOR_SCALED:
            acc *= tl.load(x_tensor) * tl.load(w_tensor)
        if TURNED:
            at = c[None, :].to(tl.int64) * N + r[:, None]
            inside = (r < N)[:, None] & (c < M)[None, :]
        else:
            at = r[:, None].to(tl.int64) * N + c[None, :]
            inside = (r < M)[:, None] & (c < N)[None, :]
        tl.store(y + at, to_bf16(acc), mask=inside)
