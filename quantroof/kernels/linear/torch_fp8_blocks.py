"""fp8 W8A8 in torch with block scales: 1 x 128 groups of activations, 128 x 128 blocks of weights.

The recipe of DeepSeek-V3 (arXiv 2412.19437), which cuBLASLt has since 12.9, for Hopper only. The scales lie
as torch checks: the index along K is the slow one for activations, and the fast one, padded to a multiple
of 4, for weights.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from quantroof.errors import first_line
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.linear.torch_fp8 import E4M3_MAX
from quantroof.kernels.requirements import needs_hopper, needs_multiple

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from quantroof.kernels.problem import Problem

_BLOCK = 128
_PADDED_TO = 4  # scales along K of a 128 x 128 block


def _check(case: Case, device: Device) -> Skip | None:
    what = "cuBLASLt's 128-block fp8 recipe"
    return (
        needs_hopper(device, what)
        or needs_multiple(case.k, _BLOCK, "K", what)
        or needs_multiple(case.n, _BLOCK, "N", what)
    )


def scales_of_weight(scales: torch.Tensor) -> torch.Tensor:
    """fp32 [N / 128, K / 128] -> [K / 128 padded to 4, N / 128] with strides (1, padded)."""
    import torch

    return torch.nn.functional.pad(scales, (0, -scales.shape[1] % _PADDED_TO)).contiguous().t()


def scales_of_activation(scales: torch.Tensor) -> torch.Tensor:
    """fp32 [M, K / 128] -> the same shape with strides (1, M), for M = 1 too."""
    import torch

    strided = torch.empty_strided(
        scales.shape, (1, scales.shape[0]), dtype=scales.dtype, device=scales.device
    )
    return strided.copy_(scales)


def multiplier() -> Callable[..., torch.Tensor] | Skip:
    """y = multiply(codes, scales, weight codes [N, K], weight scales), or why this torch has none."""
    import torch

    functional = torch.nn.functional
    if not hasattr(functional, "scaled_mm"):
        return Skip(f"torch {torch.__version__} has no torch.nn.functional.scaled_mm with recipes")
    kinds = functional.ScalingType

    def multiply(x: torch.Tensor, xs: torch.Tensor, w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        return functional.scaled_mm(
            x, w.t(), xs, kinds.BlockWise1x128, ws, kinds.BlockWise128x128, output_dtype=torch.bfloat16
        )

    return multiply


def quantized_by_groups(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """bf16 [M, K] -> (e4m3 codes, scales as the product reads them) in plain torch operations."""
    import torch

    groups = x.view(x.shape[0], -1, _BLOCK).float()
    scales = groups.abs().amax(dim=-1).clamp_min_(1e-12).div_(E4M3_MAX)
    codes = (groups / scales[:, :, None]).to(torch.float8_e4m3fn).view(x.shape)
    return codes, scales_of_activation(scales)


def _build(problem: Problem, *, quantizing: bool) -> Prepared | Skip:
    multiply = multiplier()
    if isinstance(multiply, Skip):
        return multiply
    weights = (problem.weight.codes, scales_of_weight(problem.weight.scale))
    if quantizing:
        arriving = problem.arriving

        def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
            return multiply(*quantized_by_groups(arriving), w, ws)

    else:
        x, xs = problem.activation.codes, scales_of_activation(problem.activation.scale)

        def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
            return multiply(x, xs, w, ws)

    try:
        call(*weights)
    except (RuntimeError, ValueError) as error:
        return Skip(f"torch refuses the 128-block fp8 recipe here: {first_line(error)}")
    return Prepared(weights, call)


KERNELS = (
    Kernel(
        "torch.scaled_mm_blocks",
        "torch",
        ("fp8-block-w8a8-static",),
        partial(_build, quantizing=False),
        _check,
        targets=("gpu",),
        summary="scaled_mm, scales of 1 x 128 and 128 x 128",
    ),
    Kernel(
        "torch.quant+scaled_mm_blocks",
        "torch",
        ("fp8-block-w8a8",),
        partial(_build, quantizing=True),
        _check,
        targets=("gpu",),
        summary="quantizing in groups of 128, scaled_mm with block scales",
    ),
)
