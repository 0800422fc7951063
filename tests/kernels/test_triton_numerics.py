"""Every Triton kernel against float64 of the very values it was given, under the interpreter."""

from __future__ import annotations

import pytest

from tests.kernels.interpreter import Interpreter

_INT4 = [
    *(
        f"{'gemv' if m == 1 else 'gemm'}/int4.g128-bf16-bf16/m{m}-n128-k1024"
        for m in (1, 2, 3, 7, 16, 17, 64, 65)
    ),
    "gemv/int4.g128-bf16-bf16/m1-n64-k128",
    "gemm/int4.g128-bf16-bf16/m130-n192-k256",
    "gemv/int4.g64-bf16-bf16/m1-n128-k384",
    "gemm/int4.g64-bf16-bf16/m65-n128-k256",
    "gemv/int4.g32-bf16-bf16/m1-n128-k384",
    "gemm/int4.g32-bf16-bf16/m17-n64-k256",
]
_OTHERS = {
    "triton.int4_zp": "int4.g128.zp",
    "triton.int4_actorder": "int4.g128.actorder",
    "triton.nf4": "nf4.g64",
    "triton.int8_weight": "int8.channel",
    "triton.fp8_weight": "fp8_e4m3.channel",
}
CASES = [
    *(("triton.int4", case) for case in _INT4),
    *(
        (kernel, f"{'gemv' if m == 1 else 'gemm'}/{fmt}-bf16-bf16/m{m}-n{n}-k{k}")
        for kernel, fmt in _OTHERS.items()
        for m, n, k in ((1, 128, 1024), (2, 64, 256), (7, 192, 384), (17, 128, 256), (65, 64, 256))
    ),
    ("triton.int4_zp", "gemm/int4.g32.zp-bf16-bf16/m16-n128-k256"),
    ("triton.int4_actorder", "gemm/int4.g64.actorder-bf16-bf16/m65-n64-k256"),
    ("triton.nf4", "gemm/nf4.g32-bf16-bf16/m3-n128-k256"),
]


@pytest.mark.parametrize(("kernel", "case"), CASES)
def test_kernel_matches_float64(kernel: str, case: str, interpreter: Interpreter) -> None:
    """The relative error is within the format's tolerance, and calling again gives the same bits."""
    for submitted in CASES:
        interpreter.submit(*submitted)
    result = interpreter.submit(kernel, case).result(timeout=120)
    assert result["error"] <= result["tolerance"]
    assert result["again"] == 0
