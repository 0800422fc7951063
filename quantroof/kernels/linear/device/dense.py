"""y[M, N] = x[M, K] w[N, K]^T with both operands in a type of the matrix units: bf16, fp16, fp8 or int8.

Three shapes of the same product: a persistent one fed by TMA (compute capability 9.0 and 10.x), one fed by
cp.async for the rest, and a skinny one, transposed and split along K, for few rows. Scales of 8-bit operands
are applied once at the end: SCALING is "none", "tensor" (one each) or "row" (one per row of x and of w).
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import dot, to_bf16
from quantroof.kernels.linear.device.splitk import reduce_parts


@triton.jit
def _zeros(rows: tl.constexpr, cols: tl.constexpr, INT: tl.constexpr):
    return tl.zeros((rows, cols), tl.int32 if INT else tl.float32)


@triton.jit
def _scaled(acc, x_scale, w_scale, m, n, M, N, SCALING: tl.constexpr):
    """acc[m, n] (or [n, m], as m and n are shaped) in fp32 with the scales of both operands."""
    acc = acc.to(tl.float32)
    if SCALING == "tensor":
        acc *= tl.load(x_scale) * tl.load(w_scale)
    if SCALING == "row":
        acc *= tl.load(x_scale + m, mask=m < M, other=0.0) * tl.load(w_scale + n, mask=n < N, other=0.0)
    return acc


@triton.jit
def _rounded(acc, like):
    """acc in the output's type."""
    return to_bf16(acc) if like.dtype.element_ty == tl.bfloat16 else acc.to(like.dtype.element_ty)


@triton.jit
def _tile_of(index, M, N, BM: tl.constexpr, BN: tl.constexpr, GROUP_M: tl.constexpr):
    """Tiles in columns of GROUP_M rows, so that programs at work together share operands in L2."""
    rows, cols = tl.cdiv(M, BM), tl.cdiv(N, BN)
    group = index // (GROUP_M * cols)
    height = tl.minimum(rows - group * GROUP_M, GROUP_M)
    inside = index % (GROUP_M * cols)
    return group * GROUP_M + inside % height, inside // height


@triton.jit(do_not_specialize=["M"])
def dense_tma(
    x, w, y, x_scale, w_scale, M, N, K,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP_M: tl.constexpr, PROGRAMS: tl.constexpr,
    SCALING: tl.constexpr, INT: tl.constexpr,
):  # fmt: skip
    """x, w, y are tensor descriptors of blocks [BM, BK], [BN, BK], [BM, BN / 2]. Grid: (PROGRAMS,).

    Each program walks over tiles; `flatten` lets the loads of the next tile start under the epilogue of this
    one. The output leaves in two halves, which frees shared memory for one more stage of loads.
    """
    tiles = tl.cdiv(M, BM) * tl.cdiv(N, BN)
    for index in tl.range(tl.program_id(0), tiles, PROGRAMS, flatten=True):
        tile_m, tile_n = _tile_of(index, M, N, BM, BN, GROUP_M)
        acc = _zeros(BM, BN, INT)
        for step in tl.range(0, tl.cdiv(K, BK)):
            acc = dot(x.load([tile_m * BM, step * BK]), w.load([tile_n * BN, step * BK]).T, acc)
        halves = acc.reshape(BM, 2, BN // 2).trans(0, 2, 1).split()
        m = tile_m * BM + tl.arange(0, BM)[:, None]
        for half in tl.static_range(2):
            first = tile_n * BN + half * (BN // 2)
            n = first + tl.arange(0, BN // 2)[None, :]
            values = _scaled(halves[half], x_scale, w_scale, m, n, M, N, SCALING)
            y.store([tile_m * BM, first], to_bf16(values) if y.dtype == tl.bfloat16 else values.to(y.dtype))


@triton.jit(do_not_specialize=["M"])
def dense_pointers(
    x, w, y, x_scale, w_scale, M, N, K,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP_M: tl.constexpr,
    SCALING: tl.constexpr, INT: tl.constexpr,
):  # fmt: skip
    """x [M, K], w [N, K], y [M, N], all row-major; K a multiple of BK. Grid: (number of tiles,)."""
    tile_m, tile_n = _tile_of(tl.program_id(0), M, N, BM, BN, GROUP_M)
    m = tile_m * BM + tl.arange(0, BM)
    n = tile_n * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    # Rows past the edge read the last row instead of being masked: their results are not stored.
    x_at = x + tl.minimum(m, M - 1)[:, None].to(tl.int64) * K + k[None, :]
    w_at = w + tl.minimum(n, N - 1)[None, :].to(tl.int64) * K + k[:, None]
    acc = _zeros(BM, BN, INT)
    for _ in range(0, K, BK):
        acc = dot(tl.load(x_at), tl.load(w_at), acc)
        x_at += BK
        w_at += BK
    rows, cols = m[:, None], n[None, :]
    values = _scaled(acc, x_scale, w_scale, rows, cols, M, N, SCALING)
    tl.store(y + rows.to(tl.int64) * N + cols, _rounded(values, y), mask=(rows < M) & (cols < N))


@triton.jit(do_not_specialize=["M"])
def dense_skinny(
    x, w, y, x_scale, w_scale, partials, counters, M, N, K,
    BN: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, SPLIT: tl.constexpr,
    SCALING: tl.constexpr, INT: tl.constexpr,
):  # fmt: skip
    """As dense_pointers for few rows: acc[BN, BM] = w x^T. Grid: (ceil(N / BN), SPLIT, ceil(M / BM)).

    The weights are the operand with 64 or 128 rows, so that M is padded to 16 only; the parts of K meet in
    one launch. partials has the accumulator's type, fp32 or int32.
    """
    tile_n, part, tile_m = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n = tile_n * BN + tl.arange(0, BN)
    m = tile_m * BM + tl.arange(0, BM)
    steps = K // BK
    per_part = (steps + SPLIT - 1) // SPLIT
    start = part * per_part
    stop = tl.minimum(start + per_part, steps)
    k = start * BK + tl.arange(0, BK)
    w_at = w + tl.minimum(n, N - 1)[:, None].to(tl.int64) * K + k[None, :]
    x_at = x + m[None, :].to(tl.int64) * K + k[:, None]
    inside = (m < M)[None, :]
    acc = _zeros(BN, BM, INT)
    for _ in range(start, stop):
        weights = tl.load(w_at, eviction_policy="evict_first")
        acc = dot(weights, tl.load(x_at, mask=inside, other=0.0), acc)
        w_at += BK
        x_at += BK
    last = True
    if SPLIT > 1:
        tile = tile_m * tl.num_programs(0) + tile_n
        acc, last = reduce_parts(acc, partials, counters, tile, part, M - tile_m * BM, SPLIT)
    if last:
        rows, cols = m[None, :], n[:, None]
        values = _scaled(acc, x_scale, w_scale, rows, cols, M, N, SCALING)
        tl.store(y + rows.to(tl.int64) * N + cols, _rounded(values, y), mask=(rows < M) & (cols < N))
