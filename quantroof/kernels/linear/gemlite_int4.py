"""gemlite: int4 weight-only in Triton, tuned on first use. Available where the package is installed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from quantroof.kernels.kernel import Kernel, Prepared
from quantroof.kernels.requirements import bf16_in_tiles_of, needs_package

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

needs_package("gemlite")


def _build(problem: Problem) -> Prepared:
    import torch

    core = import_module("gemlite.core")
    case, weight, x = problem.case, problem.weight, problem.arriving
    layer = core.GemLiteLinearTriton(
        4, case.weight.group, case.k, case.n, input_dtype=core.DType.BF16, output_dtype=core.DType.BF16
    )
    codes = weight.codes if weight.zeros is not None else (weight.codes + 8).to(torch.uint8)
    zeros = 8 if weight.zeros is None else weight.zeros.bfloat16()
    layer.pack(codes, weight.scale.bfloat16(), zeros)
    meta = layer.get_meta_args()

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = core.forward_functional(x, None, list(tensors), meta)
        return out

    return Prepared(tuple(layer.get_tensor_args()), call)


KERNELS = (
    Kernel(
        "gemlite.int4",
        "gemlite",
        ("int4-w4a16", "int4-zp-w4a16"),
        _build,
        bf16_in_tiles_of(32, "gemlite"),
        targets=("gpu",),
        summary="gemlite's choice of GEMV, split-K or GEMM, tuned on the first call",
    ),
)
