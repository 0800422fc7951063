"""y[M, N] = x[M, K] w[N, K]^T with 4-bit weights in fragment order and bf16 activations.

The product is taken transposed, acc[BN, BM] = w x^T, because operand A of a matrix instruction may come from
registers, where the weights have just been unpacked; M is padded to BM. Two ways to apply the scales: on the
accumulator after each group (skinny: BM / 128 multiplications a weight, exact in fp32) or on the weights
(wide M, or groups shorter than the tile: one fma a pair, rounded to bf16 like every library kernel does).
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.linear.device.fragments import unpack_4bit, unpack_4bit_scaled
from quantroof.kernels.linear.device.numerics import dot
from quantroof.kernels.linear.device.splitk import reduce_parts


@triton.jit(do_not_specialize=["M"])
def int4_linear(
    x, packed, scales, y, partials, counters, M, N, K,
    BN: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, SPLIT: tl.constexpr,
    ON_ACCUMULATOR: tl.constexpr,
):  # fmt: skip
    """x bf16 [M, K]; packed uint8 [N/64, K/64, 2048]; scales bf16 [K/GROUP, N]; y bf16 [M, N].

    Grid: (N / BN, SPLIT, ceil(M / BM)). partials and counters as in reduce_parts, a tile for each (n, m).
    """
    tile_n, part, tile_m = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n = tile_n * BN + tl.arange(0, BN)
    m = tile_m * BM + tl.arange(0, BM)
    inside = (m < M)[None, :]
    steps = K // BK
    per_part = (steps + SPLIT - 1) // SPLIT
    start = part * per_part
    stop = tl.minimum(start + per_part, steps)
    block = tile_n * (BN // 64) + tl.arange(0, BN // 64)
    weight_at = packed + block[:, None] * (K * 32) + (start * (BK * 32) + tl.arange(0, BK * 32))[None, :]
    x_at = x + m[None, :].to(tl.int64) * K + (start * BK + tl.arange(0, BK))[:, None]
    acc = tl.zeros((BN, BM), tl.float32)
    for step in range(start, stop):
        words = tl.load(weight_at, eviction_policy="evict_first")
        activations = tl.load(x_at, mask=inside, other=0.0)
        if ON_ACCUMULATOR:
            scale = tl.load(scales + step * N + n).to(tl.float32)
            product = dot(unpack_4bit(words, BN, BK), activations, tl.zeros((BN, BM), tl.float32))
            acc += product * scale[:, None]
        else:
            group = step * (BK // GROUP) + tl.arange(0, BK // GROUP)
            scale = tl.load(scales + group[None, :] * N + n[:, None])
            acc = dot(unpack_4bit_scaled(words, scale, BN, BK), activations, acc)
        weight_at += BK * 32
        x_at += BK
    last = True
    if SPLIT > 1:
        acc, last = reduce_parts(acc, partials, counters, tile_m * tl.num_programs(0) + tile_n, part, SPLIT)
    if last:
        out = y + m[None, :].to(tl.int64) * N + n[:, None]
        tl.store(out, acc.to(tl.bfloat16), mask=inside & (n < N)[:, None])
