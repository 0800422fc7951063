"""Every Triton kernel against float64 of the values that it was given, under the interpreter."""

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
    "triton.mxfp4": "mxfp4.g32",
    "triton.nvfp4": "nvfp4.g16",
    "triton.int8_weight": "int8.channel",
    "triton.fp8_weight": "fp8_e4m3.channel",
}
CASES = [
    *(("triton.int4", case) for case in _INT4),
    *(
        (kernel, f"{'gemv' if m == 1 else 'gemm'}/{fmt}-bf16-bf16/m{m}-n{n}-k{k}")
        for kernel, fmt in _OTHERS.items()
        for m, n, k in ((1, 128, 1024), (2, 64, 256), (7, 192, 384), (17, 128, 256), (65, 64, 1024))
    ),
    ("triton.int4_zp", "gemm/int4.g32.zp-bf16-bf16/m16-n128-k256"),
    ("triton.int4_actorder", "gemm/int4.g64.actorder-bf16-bf16/m65-n64-k256"),
    ("triton.nf4", "gemm/nf4.g32-bf16-bf16/m3-n128-k256"),
]


_DENSE = {
    "triton.bf16": "bf16-bf16-bf16",
    "triton.fp16": "fp16-fp16-fp16",
    "triton.fp8": "fp8_e4m3.tensor-fp8_e4m3.tensor-bf16",
    "triton.quant+fp8": "fp8_e4m3.channel-fp8_e4m3.token.from_bf16-bf16",
    "triton.int8": "int8.channel-int8.token-bf16",
    "triton.quant+int8": "int8.channel-int8.token.from_bf16-bf16",
}
_DENSE_SHAPES = (
    (1, 128, 1024),
    (2, 80, 192),
    (16, 272, 320),
    (17, 64, 512),
    (64, 128, 256),
    (65, 144, 192),
    (130, 272, 128),
)
CASES += [
    (kernel, f"{'gemv' if m == 1 else 'gemm'}/{formats}/m{m}-n{n}-k{k}")
    for kernel, formats in _DENSE.items()
    for m, n, k in _DENSE_SHAPES
]
CASES += [
    *(("triton.act_quant", f"act_quant/none-bf16-{fmt}.token/m5-n272-k272") for fmt in ("int8", "fp8_e4m3")),
    *(
        ("triton.dequantize", f"dequantize/{fmt}-none-bf16/m{rows}-n256-k256")
        for fmt, rows in (("int4.g128", 128), ("nf4.g64", 64), ("int8.channel", 192))
    ),
    *(
        ("triton.dequant+linear", f"gemm/{fmt}-bf16-bf16/m17-n64-k256")
        for fmt in ("int4.g128", "int4.g32.zp", "int4.g128.actorder", "nf4.g64", "fp8_e4m3.channel")
    ),
]
CASES += [
    # Parts of unequal length, three query heads per KV head, one KV head, a context below one block.
    ("triton.attention", f"decode_attention/{cache}-bf16-bf16/{shape}")
    for cache in ("bf16", "fp8_e4m3.tensor", "int8.token", "nvfp4.g16")
    for shape in ("b2-h6-g2-d64-c200", "b1-h4-g4-d128-c130", "b1-h8-g1-d64-c33")
]
# 9.0 takes wgmma's fragment order and TMA; 8.9 takes mma.sync's order and plain pointers.
JOBS = [
    (kernel, case, capability)
    for kernel, case in CASES
    for capability in ("9.0", "8.9")
    if capability == "9.0" or "m1-" in case or "m65-" in case or "m17-" in case
]


# One row, and more rows than the skinny kernels take, of every kernel and format; every KV cache once.
QUICK = [
    job
    for job in JOBS
    if any(size in job[1] for size in ("m1-", "-c33")) or ("m65-" in job[1] and job[2] == "9.0")
]
QUICK += [next(job for job in JOBS if job[0] == name) for name in dict.fromkeys(job[0] for job in JOBS)]
LONG = [pytest.param(*job, marks=pytest.mark.long) for job in JOBS if job not in QUICK]


@pytest.mark.parametrize(("kernel", "case", "capability"), [*dict.fromkeys(QUICK), *LONG])
def test_kernel_matches_float64(kernel: str, case: str, capability: str, interpreter: Interpreter) -> None:
    """The relative error is within the format's tolerance, and calling again gives the same bits."""
    for submitted in QUICK:  # at once, so that no process of the interpreter waits for the next test
        interpreter.submit(*submitted)
    result = interpreter.submit(kernel, case, capability).result(timeout=300)
    assert result["error"] <= result["tolerance"]
    assert result["again"] == 0
