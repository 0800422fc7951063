"""Humming: int4 weight-only, CUDA C++ compiled on first use. Available where the package is installed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from quantroof.kernels.kernel import Kernel, Prepared
from quantroof.kernels.requirements import bf16_in_tiles_of, needs_package

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

needs_package("humming", distribution="humming-kernels")


def _build(problem: Problem) -> Prepared:
    import torch

    from quantroof.kernels.packing import gptq_words

    humming = import_module("humming.layer")
    case, weight, x = problem.case, problem.weight, problem.arriving
    layer = humming.HummingLayer(
        shape_n=case.n,
        shape_k=case.k,
        weight_config={"quant_method": "gptq", "bits": 4, "group_size": case.weight.group},
        torch_dtype=torch.bfloat16,
    ).to(x.device)
    scales = weight.scale.T.bfloat16().contiguous()
    layer.load_from_tensors({"qweight": gptq_words(weight.codes + 8), "scales": scales})
    layer.transform()
    names, parameters = zip(*layer.named_parameters(), strict=True)

    def call(*tensors: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = torch.func.functional_call(layer, dict(zip(names, tensors, strict=True)), (x,))
        return out

    return Prepared(tuple(p.detach() for p in parameters), call)


KERNELS = (
    Kernel(
        "humming.int4",
        "humming",
        ("int4-w4a16",),
        _build,
        bf16_in_tiles_of(64, "Humming"),
        targets=("gpu",),
        summary="stream-K CUDA C++ with Humming's own tuning tables",
    ),
)
