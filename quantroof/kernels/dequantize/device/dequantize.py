"""Dequantize packed weights to bf16, from the same fragment order that the products read."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import to_bf16
from quantroof.kernels.linear.device.unpack import unpack, unpack_scaled
from quantroof.kernels.linear.device.weight_only import scales_of, zeros_of


@triton.jit
def dequantize_weight(
    packed, scales, zeros, order, y, N, K,
    BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, KIND: tl.constexpr, ORDERED: tl.constexpr,
    WIDE: tl.constexpr,
):  # fmt: skip
    """y bf16 [N, K]; operands as of weight_only_linear. Grid: (N / BN, K / BK)."""
    BYTES: tl.constexpr = 64 if KIND == "int8" or KIND == "fp8" else 32
    tile_n, step = tl.program_id(0), tl.program_id(1)
    n = tile_n * BN + tl.arange(0, BN)
    block = tile_n * (BN // 64) + tl.arange(0, BN // 64)
    at = block[:, None] * (K * BYTES) + step * (BK * BYTES) + tl.arange(0, BK * BYTES)[None, :]
    words = tl.load(packed + at)
    if KIND == "int8" or KIND == "fp8":
        scale = tl.load(scales + n)
        values = to_bf16(unpack(words, 0, BN, BK, KIND, WIDE).to(tl.float32) * scale[:, None])
    else:
        zero = zeros_of(zeros, step, tile_n, N, BN, BK, GROUP, KIND)
        scale = to_bf16(scales_of(scales, step, tile_n, N, BN, BK, GROUP, KIND))
        values = unpack_scaled(words, zero, scale, BN, BK, KIND, WIDE)
        if KIND == "nf4":  # a power of two
            values = to_bf16(values.to(tl.float32) * tl.load(zeros).to(tl.float32, bitcast=True))
    column = step * BK + tl.arange(0, BK)
    if ORDERED:
        column = tl.load(order + column)
    tl.store(y + n[:, None].to(tl.int64) * K + column[None, :], values)
