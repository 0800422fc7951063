"""Per-token activation quantization in plain torch operations, on every device: the baseline to beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.kernels.act_quant.rows import dequantized_rows
from quantroof.kernels.kernel import Kernel, Prepared

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem


def _build(problem: Problem) -> Prepared:
    import torch

    from quantroof.kernels.quantize import storage_dtype

    fmt = problem.case.output
    limit, dtype, integer = fmt.element.max_value, storage_dtype(fmt), fmt.element.kind == "int"

    def call(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        scales = x.abs().amax(dim=1).float().div_(limit).clamp_min_(torch.finfo(torch.float32).tiny)
        scaled = x / scales[:, None]
        return (scaled.round_() if integer else scaled).clamp_(-limit, limit).to(dtype), scales

    return Prepared((problem.arriving,), call, hot=("output",), values=dequantized_rows)


KERNELS = (
    Kernel(
        "torch.act_quant",
        "torch",
        ("int8-quant", "fp8-quant"),
        _build,
        operations=("act_quant",),
        summary="amax, divide, round, cast: several passes over memory",
    ),
)
