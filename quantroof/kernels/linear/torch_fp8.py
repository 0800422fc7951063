"""fp8 W8A8 in torch: `_scaled_mm` with one scale a tensor, or a scale a row with quantising included."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.registry import Kernel, Prepared, Skip, is_gpu
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

_E4M3_MAX = 448.0  # OCP 8-bit floating point specification 1.0


def _check_scaled_mm(case: Case, device: Device) -> Skip | None:
    if is_gpu(device) and (skip := needs_capability(device, (8, 9), "fp8 matrix instructions")):
        return skip
    what = "torch._scaled_mm"
    return needs_multiple(case.k, 16, "K", what) or needs_multiple(case.n, 16, "N", what)


def _build_tensor(problem: Problem) -> Prepared:
    import torch

    x, xs = problem.activation.codes, problem.activation.scale

    def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        return torch._scaled_mm(x, w.t(), scale_a=xs, scale_b=ws, out_dtype=torch.bfloat16)

    return Prepared((problem.weight.codes, problem.weight.scale.reshape(1, 1)), call)


def _build_row(problem: Problem) -> Prepared | Skip:
    import torch

    x = problem.arriving

    def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        xs = x.abs().amax(dim=1, keepdim=True).float().clamp_min_(1e-12).div_(_E4M3_MAX)
        codes = (x / xs).to(torch.float8_e4m3fn)
        return torch._scaled_mm(codes, w.t(), scale_a=xs, scale_b=ws, out_dtype=torch.bfloat16)

    weights = (problem.weight.codes, problem.weight.scale.T.contiguous())
    try:
        call(*weights)
    except RuntimeError as error:
        return Skip(f"torch._scaled_mm refuses row scales here: {str(error).splitlines()[0]}")
    return Prepared(weights, call)


KERNELS = (
    Kernel(
        "torch.scaled_mm",
        "torch",
        ("fp8-w8a8-static",),
        _build_tensor,
        _check_scaled_mm,
        summary="_scaled_mm, tensor scales",
    ),
    Kernel(
        "torch.quant+scaled_mm",
        "torch",
        ("fp8-w8a8",),
        _build_row,
        _check_scaled_mm,
        summary="per-token quantising, _scaled_mm with row scales",
    ),
)
