"""fp8 W8A8 in torch: `_scaled_mm` with one scale per tensor, or per row with quantization included.

On Hopper cuBLASLt adds fp8 products in the tensor core's own narrow accumulator (`use_fast_accum`) or moves
them to fp32 every few steps, which is slower. Both are here: Triton's kernels use the fast one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from quantroof.errors import first_line
from quantroof.hwprofiles.types import Device, Processor
from quantroof.kernels.cases import Case
from quantroof.kernels.formats import element
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability, needs_hopper, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

E4M3_MAX = element("fp8_e4m3").max_value


def check_scaled_mm(case: Case, device: Device) -> Skip | None:
    """Why `_scaled_mm` cannot take a case's shape here, or None."""
    if device.processor == "gpu" and (skip := needs_capability(device, (8, 9), "fp8 matrix instructions")):
        return skip
    what = "torch._scaled_mm"
    return needs_multiple(case.k, 16, "K", what) or needs_multiple(case.n, 16, "N", what)


def _check_fast(case: Case, device: Device) -> Skip | None:
    return needs_hopper(device, "the choice of fast accumulation") or check_scaled_mm(case, device)


def _build_tensor(problem: Problem, *, fast: bool) -> Prepared:
    import torch

    x, xs = problem.activation.codes, problem.activation.scale
    multiply = partial(torch._scaled_mm, out_dtype=torch.bfloat16, use_fast_accum=fast)

    def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        return multiply(x, w.t(), scale_a=xs, scale_b=ws)

    return Prepared((problem.weight.codes, problem.weight.scale.reshape(1, 1)), call, {"fast_accum": fast})


def _build_row(problem: Problem, *, fast: bool) -> Prepared | Skip:
    import torch

    x = problem.arriving
    multiply = partial(torch._scaled_mm, out_dtype=torch.bfloat16, use_fast_accum=fast)

    def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        xs = x.abs().amax(dim=1, keepdim=True).float().clamp_min_(1e-12).div_(E4M3_MAX)
        return multiply((x / xs).to(torch.float8_e4m3fn), w.t(), scale_a=xs, scale_b=ws)

    weights = (problem.weight.codes, problem.weight.scale.T.contiguous())
    try:
        call(*weights)
    except (RuntimeError, ValueError) as error:  # TORCH_CHECK_VALUE raises the second
        return Skip(f"torch._scaled_mm refuses row scales here: {first_line(error)}")
    return Prepared(weights, call, {"fast_accum": fast})


def _pair(
    name: str, scheme: str, build: Callable[..., Prepared | Skip], summary: str
) -> tuple[Kernel, Kernel]:
    """A kernel with exact accumulation everywhere, and one with fast accumulation where torch offers it."""
    targets: tuple[Processor, ...] = ("gpu",)
    return (
        Kernel(name, "torch", (scheme,), partial(build, fast=False), check_scaled_mm, summary=summary),
        Kernel(
            f"{name}_fast",
            "torch",
            (scheme,),
            partial(build, fast=True),
            _check_fast,
            targets=targets,
            summary=f"{summary}, use_fast_accum",
        ),
    )


KERNELS = (
    *_pair("torch.scaled_mm", "fp8-w8a8-static", _build_tensor, "_scaled_mm, tensor scales"),
    *_pair(
        "torch.quant+scaled_mm", "fp8-w8a8", _build_row, "per-token quantizing, _scaled_mm with row scales"
    ),
)
