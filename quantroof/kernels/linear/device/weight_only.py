"""y[M, N] = x[M, K] w[N, K]^T with packed weights in fragment order and bf16 activations.

The product is taken transposed, acc[BN, BM] = w x^T, because operand A of a matrix instruction may come from
registers, where the weights have just been unpacked; M is padded to BM. Scales are applied where they cost
least: once at the end (one scale per channel), on the accumulator after each group (few rows: BM / group
multiplications per weight, in fp32), or on the weights (many rows, or groups shorter than the step, or levels
that are too small without them: half an instruction per weight, rounded to bf16 as library kernels do).
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import dot, to_bf16
from quantroof.kernels.linear.device.splitk import reduce_parts
from quantroof.kernels.linear.device.unpack import unpack, unpack_scaled


@triton.jit
def scales_of(
    scales, step, tile_n, N, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, KIND: tl.constexpr
):
    """Scales fp32 [BN, BK / GROUP] of a step, out of [K / GROUP, N] in fp32 for NF4, else pairs of bf16.

    cp.async, and so Triton's pipelining, needs 4 bytes per thread, and a load that is not pipelined costs
    a trip to DRAM in every step. With one group per step the pairs are neighbors in N; with more they are
    neighbors along K, [K / GROUP / 2, N, 2], because a transposition would change the layout of the tile of
    weights.
    """
    GROUPS: tl.constexpr = BK // GROUP
    if KIND == "nf4":
        group = step * GROUPS + tl.arange(0, GROUPS)
        found = tl.load(scales + group[None, :] * N + tile_n * BN + tl.arange(0, BN)[:, None])
    else:
        words = scales.to(tl.pointer_type(tl.int32))
        if GROUPS == 1:
            two = tl.load(words + step * (N // 2) + tile_n * (BN // 2) + tl.arange(0, BN // 2))
        else:
            pair = step * (GROUPS // 2) + tl.arange(0, GROUPS // 2)
            two = tl.load(words + pair[None, :] * N + tile_n * BN + tl.arange(0, BN)[:, None])
        low, high = (two << 16).to(tl.float32, bitcast=True), (two & -65536).to(tl.float32, bitcast=True)
        found = tl.join(low, high).reshape(BN, GROUPS)
    return found


@triton.jit
def zeros_of(
    zeros, step, tile_n, N, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, KIND: tl.constexpr
):
    """Zero points int16 [BN, BK / GROUP] of a step, eight nibbles per load of [K / GROUP, N / 8]; else 0.

    Spreading each load over eight rows also keeps Triton from giving the zeros' layout to the tile of
    weights.
    """
    if KIND == "int4_zeros":
        GROUPS: tl.constexpr = BK // GROUP
        group = step * GROUPS + tl.arange(0, GROUPS)
        rows = tile_n * (BN // 8) + tl.arange(0, BN // 8)
        eight = tl.load(zeros + group[None, :] * (N // 8) + rows[:, None])
        nibbles = (eight[:, None, :] >> (tl.arange(0, 8) * 4)[None, :, None]) & 15
        found = nibbles.to(tl.int16).reshape(BN, GROUPS)
    else:
        found = 0
    return found


@triton.jit(do_not_specialize=["M"])
def weight_only_linear(
    x, packed, scales, zeros, order, y, partials, counters, M, N, K,
    BN: tl.constexpr, BM: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, SPLIT: tl.constexpr,
    KIND: tl.constexpr, SCALED: tl.constexpr, ORDERED: tl.constexpr, WIDE: tl.constexpr, STAGES: tl.constexpr,
):  # fmt: skip
    """x bf16 [M, K]; packed as in fragments; y bf16 [M, N]. Grid: (N / BN, SPLIT, ceil(M / BM)).

    scales: fp32 [N] where SCALED is "end", else [K / GROUP, N]. zeros: int16 [K / GROUP, N / 4] for
    int4_zeros; for nf4 and fp4 the bits of the fp32 factor of the whole weight. order: int32 [K], the column
    of x that meets column k of the packed weight, read where ORDERED. partials and counters as in
    reduce_parts, a tile for each (n, m).
    """
    BYTES: tl.constexpr = 64 if KIND == "int8" or KIND == "fp8" else 32  # of 64 rows, per column
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
    # Named here, the stages hold for loads that do not feed the dot too: scales on the accumulator.
    for step in tl.range(start, stop, num_stages=STAGES):
        words = tl.load(weight_at, eviction_policy="evict_first")
        taken = tl.load(order + column) if ORDERED else column
        activations = tl.load(x_row + taken[:, None], mask=inside, other=0.0)
        if SCALED == "end":
            acc = dot(unpack(words, 0, BN, BK, KIND, WIDE), activations, acc)
        elif SCALED == "accumulator":
            zero = zeros_of(zeros, step, tile_n, N, BN, BK, GROUP, KIND)
            scale = scales_of(scales, step, tile_n, N, BN, BK, GROUP, KIND)
            weights = unpack(words, zero, BN, BK, KIND, WIDE)
            acc += dot(weights, activations, tl.zeros((BN, BM), tl.float32)) * scale
        else:
            zero = zeros_of(zeros, step, tile_n, N, BN, BK, GROUP, KIND)
            scale = to_bf16(scales_of(scales, step, tile_n, N, BN, BK, GROUP, KIND))
            acc = dot(unpack_scaled(words, zero, scale, BN, BK, KIND, WIDE), activations, acc)
        weight_at += BK * BYTES
        column += BK
    last = True
    if SPLIT > 1:
        tile = tile_m * tl.num_programs(0) + tile_n
        acc, last = reduce_parts(acc, partials, counters, tile, part, M - tile_m * BM, SPLIT)
    if last:
        if SCALED == "end":
            acc *= tl.load(scales + n)[:, None]
        elif KIND == "fp4" or KIND == "nf4":
            acc *= tl.load(zeros).to(tl.float32, bitcast=True)
        out = y + m[None, :].to(tl.int64) * N + n[:, None]
        tl.store(out, to_bf16(acc), mask=inside & (n < N)[:, None])
