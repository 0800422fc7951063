"""Per-token quantization of activations: one program per row, one pass over memory."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import to_fp8_e4m3

# Adding and subtracting 1.5 * 2^23 rounds an fp32 below 2^22 to the nearest integer, ties to even.
_ROUND = tl.constexpr(12582912.0)


@triton.jit
def quantize_rows(x, codes, scales, K, LIMIT: tl.constexpr, BLOCK: tl.constexpr):
    """x bf16 [M, K] -> codes [M, K] (int8 or fp8) and scales fp32 [M] = largest magnitude / LIMIT. Grid:
    (M,).

    BLOCK is K rounded up to a power of two: the row stays in registers between its maximum and its codes.
    """
    row = tl.program_id(0).to(tl.int64)
    k = tl.arange(0, BLOCK)
    inside = k < K
    values = tl.load(x + row * K + k, mask=inside, other=0.0).to(tl.float32)
    top = tl.max(tl.abs(values), axis=0)
    scale = tl.where(top > 0, tl.div_rn(top, LIMIT), 1.0)
    scaled = tl.div_rn(values, scale)
    scaled = tl.minimum(tl.maximum(scaled, -LIMIT), LIMIT)
    if codes.dtype.element_ty == tl.int8:
        stored = ((scaled + _ROUND) - _ROUND).to(tl.int8)
    else:
        stored = to_fp8_e4m3(scaled)
    tl.store(codes + row * K + k, stored, mask=inside)
    tl.store(scales + row, scale)
