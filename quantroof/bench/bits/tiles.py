"""An exact product in Triton that also stores which SM computed each tile; libraries do not report it."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl
from triton.language.extra.cuda import smid

from quantroof.kernels.device.numerics import INTERPRETED, dot
from quantroof.kernels.program import Program

_DEPTH = {"int8": 128, "bf16": 64}


@triton.jit
def tile_product(
    left,
    right,
    out,
    sms,
    N: tl.constexpr,
    K: tl.constexpr,
    SIDE: tl.constexpr,
    DEPTH: tl.constexpr,
):
    """out [M, N] = left [M, K] right [N, K]^T, in int32 or fp32, and the SM of each tile in sms [M / SIDE,
    N / SIDE]; the interpreter has no SM. Grid: (N / SIDE, M / SIDE)."""
    column = tl.program_id(0)
    row = tl.program_id(1)
    m = row * SIDE + tl.arange(0, SIDE)
    n = column * SIDE + tl.arange(0, SIDE)
    k = tl.arange(0, DEPTH)
    total = tl.zeros((SIDE, SIDE), dtype=out.dtype.element_ty)
    for start in range(0, K, DEPTH):
        x = tl.load(left + m[:, None] * K + (start + k)[None, :])
        w = tl.load(right + n[:, None] * K + (start + k)[None, :])
        total = dot(x, tl.trans(w), total)
    tl.store(out + m[:, None] * N + n[None, :], total)
    if not INTERPRETED:
        tl.store(sms + row * (N // SIDE) + column, smid())


def tile_program(element: str, shape: tuple[int, int, int], side: int) -> Program:
    """Launch it with (left, right, out, sms); M, N and K are whole tiles."""
    m, n, k = shape
    kinds = {"int8": ("*i8", "*i8", "*i32"), "bf16": ("*bf16", "*bf16", "*fp32")}[element]
    return Program(
        function=tile_product,
        grid=(n // side, m // side, 1),
        arguments=(*kinds, "*i32"),
        constants={"N": n, "K": k, "SIDE": side, "DEPTH": min(_DEPTH[element], k)},
        num_warps=8 if side >= 128 else 4,
        num_stages=3,
    )
