"""int8 in torch: weight-only (`_weight_int8pack_mm`) and W8A8 (`_int_mm`, with and without quantization)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

_INT8_MATRIX = (7, 5)  # CUDA Programming Guide: int8 matrix instructions since Turing


def _check_weight_only(_: Case, device: Device) -> Skip | None:
    return needs_capability(device, (8, 0), "bf16 kernels") if device.processor == "gpu" else None


def _build_weight_only(problem: Problem) -> Prepared:
    import torch

    x, s = problem.arriving, problem.weight.scale.squeeze(1).bfloat16()
    return Prepared((problem.weight.codes, s), lambda w, s: torch._weight_int8pack_mm(x, w, s))


def _check_int_mm(case: Case, device: Device) -> Skip | None:
    if device.processor == "cpu":
        return None
    if skip := needs_capability(device, _INT8_MATRIX, "int8 matrix instructions"):
        return skip
    if case.m <= 16:
        return Skip(f"torch._int_mm needs M > 16 on a GPU, not {case.m}")
    return needs_multiple(case.k, 8, "K", "torch._int_mm") or needs_multiple(case.n, 8, "N", "torch._int_mm")


def _scaled(x: torch.Tensor, xs: torch.Tensor, w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
    """int8 x [M, K] (scales [M, 1]) times int8 w [N, K] (scales [1, N]) as bf16 [M, N]."""
    import torch

    return (torch._int_mm(x, w.t()) * ws).mul_(xs).bfloat16()


def _build_static(problem: Problem) -> Prepared:
    x, xs = problem.activation.codes, problem.activation.scale
    return Prepared(_weights(problem), lambda w, ws: _scaled(x, xs, w, ws))


def _build_dynamic(problem: Problem) -> Prepared:
    import torch

    x = problem.arriving

    def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        xs = x.abs().amax(dim=1, keepdim=True).float().clamp_min_(1e-12).div_(127.0)
        return _scaled((x / xs).round_().to(torch.int8), xs, w, ws)

    return Prepared(_weights(problem), call)


def _weights(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    return problem.weight.codes, problem.weight.scale.T.contiguous()


KERNELS = (
    Kernel(
        "torch.int8pack",
        "torch",
        ("int8-w8a16",),
        _build_weight_only,
        _check_weight_only,
        summary="_weight_int8pack_mm",
    ),
    Kernel(
        "torch.int_mm",
        "torch",
        ("int8-w8a8-static",),
        _build_static,
        _check_int_mm,
        summary="_int_mm, then scaled to bf16",
    ),
    Kernel(
        "torch.quant+int_mm",
        "torch",
        ("int8-w8a8",),
        _build_dynamic,
        _check_int_mm,
        summary="per-token quantizing, _int_mm, then scaled to bf16",
    ),
)
