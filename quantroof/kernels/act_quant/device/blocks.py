"""Quantization of activations with 8-bit block scales: codes and scales equal `block_scales` bit for bit."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import to_fp8_e4m3

_LEAST_NORMAL = tl.constexpr(0.015625)  # e4m3's least normal number, and its largest
_MOST = tl.constexpr(448.0)


@triton.jit
def e2m1_codes_of(values):
    """fp32 values -> codes 0..15 (int32): nearest, ties to the even code, saturating at 6; -0 keeps its sign.

    Midpoints that belong to the code above them are compared with >=.
    """
    size = tl.abs(values)
    code = (size > 0.25).to(tl.int32) + (size >= 0.75).to(tl.int32) + (size > 1.25).to(tl.int32)
    code += (size >= 1.75).to(tl.int32) + (size > 2.5).to(tl.int32) + (size >= 3.5).to(tl.int32)
    code += (size > 5.0).to(tl.int32)
    sign = (values.to(tl.uint32, bitcast=True) >> 31).to(tl.int32)
    return code | (sign << 3)


@triton.jit
def quantize_in_blocks(
    x, codes, scales, tensor_scale, K,
    BLOCK: tl.constexpr, TILE: tl.constexpr, PACK: tl.constexpr, EXPONENT: tl.constexpr,
    TENSOR_SCALED: tl.constexpr,
):  # fmt: skip
    """x bf16 [M, K] -> codes [M, K / PACK], scales [M, K / BLOCK]. Grid: (M, ceil(K / TILE)).

    Scales are e8m0 codes (uint8), EXPONENT below the largest magnitude's own; with TENSOR_SCALED they are
    e4m3 and relative to the fp32 tensor_scale [1]. Two e2m1 codes share a byte where PACK is 2.
    """
    row = tl.program_id(0).to(tl.int64)
    first = tl.program_id(1) * TILE
    k = first + tl.arange(0, TILE)
    values = tl.load(x + row * K + k, mask=k < K, other=0.0).to(tl.float32)
    blocks: tl.constexpr = TILE // BLOCK
    grouped = values.reshape(blocks, BLOCK)
    largest = tl.max(tl.abs(grouped), axis=1)
    if TENSOR_SCALED:
        whole = tl.load(tensor_scale)
        relative = tl.div_rn(tl.div_rn(largest, 6.0), whole)
        stored = to_fp8_e4m3(tl.minimum(tl.maximum(relative, _LEAST_NORMAL), _MOST))
        factor = tl.div_rn(tl.div_rn(1.0, whole), stored.to(tl.float32))
    else:
        exponent = (largest.to(tl.uint32, bitcast=True) >> 23).to(tl.int32)
        exponent = tl.maximum(exponent - EXPONENT, 0)
        stored = exponent.to(tl.uint8)
        factor = ((254 - exponent) << 23).to(tl.float32, bitcast=True)  # a power of two: exact
    scaled = (grouped * factor[:, None]).reshape(TILE)
    at = first // PACK + tl.arange(0, TILE // PACK)
    inside = at < K // PACK
    if PACK == 2:
        low, high = e2m1_codes_of(scaled).reshape(TILE // 2, 2).split()
        tl.store(codes + row * (K // 2) + at, (low | (high << 4)).to(tl.uint8), mask=inside)
    else:
        clamped = tl.minimum(tl.maximum(scaled, -_MOST), _MOST)
        tl.store(codes + row * K + at, to_fp8_e4m3(clamped), mask=inside)
    block = first // BLOCK + tl.arange(0, blocks)
    tl.store(scales + row * (K // BLOCK) + block, stored, mask=block < K // BLOCK)
