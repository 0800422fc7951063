"""What differs between the interpreter and compiled code, in one place."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

# Set when the module is imported under TRITON_INTERPRET=1. The interpreter knows no inline assembly, and its
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
def dot(a, b, acc):
    """acc + a b in fp32, a [m, k] and b [k, n] of one 16-bit type."""
    if INTERPRETED:
        return tl.dot(a.to(tl.float32), b.to(tl.float32), acc)
    return tl.dot(a, b, acc)
