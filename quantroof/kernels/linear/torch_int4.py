"""int4 weight-only in torch: tinygemm, and its CPU counterpart. Both compute (q - 8) s + z per group."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

_GROUPS = (32, 64, 128, 256)
_INNER_K_TILES = 8  # tinygemm's layout packs 8 tiles of 16 along K, the widest loads it has


def _check_group(case: Case, what: str) -> Skip | None:
    if case.weight.group in _GROUPS:
        return None
    return Skip(f"{what} takes groups of 32, 64, 128 or 256, not {case.weight.group}")


def _check_cuda(case: Case, device: Device) -> Skip | None:
    what = "torch._weight_int4pack_mm"
    return (
        _check_group(case, what)
        or needs_capability(device, (8, 0), "bf16 matrix instructions")
        or needs_multiple(case.k, 16 * _INNER_K_TILES, "K", what)
        or needs_multiple(case.n, 8, "N", what)
    )


def _check_cpu(case: Case, _: Device) -> Skip | None:
    what = "torch._weight_int4pack_mm_for_cpu"
    return _check_group(case, what) or needs_multiple(case.n, 16, "N", what)


def _build_cuda(problem: Problem) -> Prepared:
    import torch

    group = problem.case.weight.group or problem.case.k
    q = (problem.weight.codes + 8).to(torch.uint8)
    packed = torch._convert_weight_to_int4pack(q[:, ::2] << 4 | q[:, 1::2], _INNER_K_TILES)
    x = problem.arriving
    return Prepared(
        (packed, _scales_and_zeros(problem)),
        lambda w, sz: torch._weight_int4pack_mm(x, w, group, sz),
        {"inner_k_tiles": _INNER_K_TILES},
    )


def _build_cpu(problem: Problem) -> Prepared:
    import torch

    group = problem.case.weight.group or problem.case.k
    q = (problem.weight.codes + 8).to(torch.int32)
    packed = torch._convert_weight_to_int4pack_for_cpu(q, _INNER_K_TILES)
    x = problem.arriving
    return Prepared(
        (packed, _scales_and_zeros(problem)),
        lambda w, sz: torch._weight_int4pack_mm_for_cpu(x, w, group, sz),
    )


def _scales_and_zeros(problem: Problem) -> torch.Tensor:
    """bf16 [K / group, N, 2]: the layout both kernels read, with zeros of 0 for a symmetric format."""
    import torch

    s = problem.weight.scale.T.bfloat16()
    return torch.stack((s, torch.zeros_like(s)), dim=-1).contiguous()


_SCHEMES = ("int4-w4a16",)
KERNELS = (
    Kernel(
        "torch.int4pack",
        "torch",
        _SCHEMES,
        _build_cuda,
        _check_cuda,
        targets=("gpu",),
        summary="_weight_int4pack_mm (tinygemm)",
    ),
    Kernel(
        "torch.int4pack_cpu",
        "torch",
        _SCHEMES,
        _build_cpu,
        _check_cpu,
        targets=("cpu",),
        summary="_weight_int4pack_mm_for_cpu",
    ),
)
