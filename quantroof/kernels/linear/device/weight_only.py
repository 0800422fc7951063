"""y[M, N] = x[M, K] w[N, K]^T with packed weights in fragment order and bf16 activations.

The product is taken transposed, acc[BN, BM] = w x^T, because operand A of a matrix instruction may come from
registers, where the weights have just been unpacked; M is padded to BM. Scales are applied where they cost
least: once at the end (a scale a channel), on the accumulator after each group (few rows: BM / group
multiplications a weight, in fp32), or on the weights (many rows, or groups shorter than the step: half an
instruction a weight, rounded to bf16 as library kernels do).
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import dot, to_bf16
from quantroof.kernels.linear.device.splitk import reduce_parts
from quantroof.kernels.linear.device.unpack import unpack, unpack_scaled


@triton.jit
def scales_of(scales, step, n, N, BK: tl.constexpr, GROUP: tl.constexpr, KIND: tl.constexpr):
    """Scales [BN, BK / GROUP] of a step, out of [K / GROUP, N]."""
    GROUPS: tl.constexpr = BK // GROUP
    group = step * GROUPS + tl.arange(0, GROUPS)
    if KIND == "int4_zeros":  # in the shape in which the zeros come, or one of the two is converted
        fours = n.reshape(n.shape[0] // 4, 4)
        found = tl.load(scales + group[None, None, :] * N + fours[:, :, None]).reshape(n.shape[0], GROUPS)
    else:
        found = tl.load(scales + group[None, :] * N + n[:, None])
    return to_bf16(found.to(tl.float32))


@triton.jit
def zeros_of(
    zeros, step, tile_n, N, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, KIND: tl.constexpr
):
    """Zero points int16 [BN, BK / GROUP] of a step, four nibbles a load, out of [K / GROUP, N / 4]; else 0.

    Spreading each load over four rows keeps Triton from giving the zeros' layout to the whole tile of
    weights.
    """
    if KIND == "int4_zeros":
        GROUPS: tl.constexpr = BK // GROUP
        group = step * GROUPS + tl.arange(0, GROUPS)
        four_rows = tile_n * (BN // 4) + tl.arange(0, BN // 4)
        four = tl.load(zeros + group[None, :] * (N // 4) + four_rows[:, None])
        shifts = (tl.arange(0, 4) * 4).to(tl.int16)
        found = ((four[:, None, :] >> shifts[None, :, None]) & 15).reshape(BN, GROUPS)
    else:
        found = 0
    return found


@triton.jit(do_not_specialize=["M"])
def weight_only_linear(
    x, packed, scales, zeros, order, y, partials, counters, M, N, K,
    BN: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, SPLIT: tl.constexpr,
    KIND: tl.constexpr, SCALED: tl.constexpr, ORDERED: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    """x bf16 [M, K]; packed as in fragments; y bf16 [M, N]. Grid: (N / BN, SPLIT, ceil(M / BM)).

    scales: fp32 [N] where SCALED is "end", else [K / GROUP, N]. zeros: int16 [K / GROUP, N / 4] for
    int4_zeros. order: int32 [K], the column of x that meets column k of the packed weight, read where
    ORDERED. partials and counters as in reduce_parts, a tile for each (n, m).
    """
    BYTES: tl.constexpr = 64 if KIND == "int8" or KIND == "fp8" else 32  # of 64 rows, a column
    tile_n, part, tile_m = tl.program_id(0), tl.program_id(1), tl.program_id(2)
    n = tile_n * BN + tl.arange(0, BN)
    m = tile_m * BM + tl.arange(0, BM)
    inside = (m < M)[None, :]
    steps = K // BK
    per_part = (steps + SPLIT - 1) // SPLIT
    start = part * per_part
    stop = tl.minimum(start + per_part, steps)
    block = tile_n * (BN // 64) + tl.arange(0, BN // 64)
    weight_at = (
        packed + block[:, None] * (K * BYTES) + start * (BK * BYTES) + tl.arange(0, BK * BYTES)[None, :]
    )
    x_row = x + m[None, :].to(tl.int64) * K
    column = start * BK + tl.arange(0, BK)
    acc = tl.zeros((BN, BM), tl.float32)
    for step in range(start, stop):
        words = tl.load(weight_at, eviction_policy="evict_first")
        taken = tl.load(order + column) if ORDERED else column
        activations = tl.load(x_row + taken[:, None], mask=inside, other=0.0)
        if SCALED == "end":
            acc = dot(unpack(words, 0, BN, BK, KIND, WIDE), activations, acc)
        elif SCALED == "accumulator":
            zero = zeros_of(zeros, step, tile_n, N, BN, BK, GROUP, KIND)
            scale = tl.load(scales + step * N + n).to(tl.float32)
            weights = unpack(words, zero, BN, BK, KIND, WIDE)
            acc += dot(weights, activations, tl.zeros((BN, BM), tl.float32)) * scale[:, None]
        else:
            zero = zeros_of(zeros, step, tile_n, N, BN, BK, GROUP, KIND)
            scale = scales_of(scales, step, n, N, BK, GROUP, KIND)
            acc = dot(unpack_scaled(words, zero, scale, BN, BK, KIND, WIDE), activations, acc)
        weight_at += BK * BYTES
        column += BK
    last = True
    if SPLIT > 1:
        acc, last = reduce_parts(acc, partials, counters, tile_m * tl.num_programs(0) + tile_n, part, SPLIT)
    if last:
        if SCALED == "end":
            acc *= tl.load(scales + n)[:, None]
        out = y + m[None, :].to(tl.int64) * N + n[:, None]
        tl.store(out, to_bf16(acc), mask=inside & (n < N)[:, None])
