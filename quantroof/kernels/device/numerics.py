"""Arithmetic that differs between Triton's interpreter and compiled code, in one place."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

# Set when the module is imported under TRITON_INTERPRET=1. The interpreter has no inline assembly, and its
# tl.dot multiplies the bit patterns of bf16 as integers (triton issue 11584), so both have plain twins.
INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)


@triton.jit
def to_bf16(x):
    """fp32 to bf16, to nearest even. The interpreter's own cast truncates."""
    if INTERPRETED:
        bits = x.to(tl.uint32, bitcast=True)
        bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        x = bits.to(tl.uint32).to(tl.float32, bitcast=True)
    return x.to(tl.bfloat16)


@triton.jit
def to_fp8_e4m3(x):
    """fp32 of at most 448 in magnitude to e4m3, to nearest even. The interpreter's own cast truncates."""
    if INTERPRETED:
        bits = x.to(tl.uint32, bitcast=True)
        kept = (bits + 0x7FFFF + ((bits >> 20) & 1)) & 0xFFF00000  # 3 bits of mantissa
        normal = kept.to(tl.uint32).to(tl.float32, bitcast=True)
        subnormal = (tl.abs(x) + 24576.0) - 24576.0  # 1.5 * 2^14: fp32 has a step of 2^-9 there
        sign = x.to(tl.uint32, bitcast=True) & 0x80000000  # of a zero as well
        signed = (subnormal.to(tl.uint32, bitcast=True) | sign).to(tl.uint32).to(tl.float32, bitcast=True)
        x = tl.where(tl.abs(x) < 0.015625, signed, normal)
    return x.to(tl.float8e4nv)


@triton.jit
def dot(a, b, acc):
    """acc + a b, a [m, k] and b [k, n] of one type: integers in int32, everything else in fp32."""
    if a.dtype == tl.int8:
        acc = tl.dot(a, b, acc, out_dtype=tl.int32)
    elif INTERPRETED:
        acc = tl.dot(a.to(tl.float32), b.to(tl.float32), acc)
    else:
        acc = tl.dot(a, b, acc)
    return acc
