"""Grouped products of experts in torch: `F.grouped_mm`, a loop over experts, and fp8 rows by scales."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from quantroof.errors import first_line
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.dequantize.torch_dequantize import dequantizer, packed_weight
from quantroof.kernels.experts.case import ExpertsCase
from quantroof.kernels.formats import element
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from quantroof.kernels.problem import Problem


def _check(case: Case, device: Device) -> Skip | None:
    what = "torch's grouped product"
    if device.processor == "gpu" and (skip := needs_capability(device, (8, 0), "bf16 kernels")):
        return skip
    return needs_multiple(case.k, 8, "K", what) or needs_multiple(case.n, 8, "N", what)


def _check_fp8(case: Case, device: Device) -> Skip | None:
    what = "torch's grouped fp8 product"
    return (
        needs_capability(device, (9, 0), "grouped fp8 products")
        or needs_multiple(case.k, 16, "K", what)
        or needs_multiple(case.n, 16, "N", what)
    )


def grouped_mm() -> Callable[..., torch.Tensor] | Skip:
    """y = grouped_mm(x, w [experts, K, N], offs=ends), or why this torch has none."""
    import torch

    function = getattr(torch.nn.functional, "grouped_mm", getattr(torch, "_grouped_mm", None))
    return function or Skip(f"torch {torch.__version__} has no grouped_mm: 2.8 and later have")


def _case(problem: Problem) -> ExpertsCase:
    assert isinstance(problem.case, ExpertsCase)
    return problem.case


def _ends(problem: Problem) -> torch.Tensor:
    import torch

    return torch.tensor(_case(problem).ends, dtype=torch.int32, device=problem.torch_device)


def _build(problem: Problem) -> Prepared | Skip:
    multiply, case = grouped_mm(), _case(problem)
    if isinstance(multiply, Skip):
        return multiply
    x, ends = problem.arriving, _ends(problem)

    def call(w: torch.Tensor) -> torch.Tensor:
        return multiply(x, w.transpose(-1, -2), offs=ends)

    return Prepared((problem.weight.codes.view(case.experts, case.n, case.k),), call)


def _build_unpacked(problem: Problem) -> Prepared | Skip:
    multiply, case = grouped_mm(), _case(problem)
    if isinstance(multiply, Skip):
        return multiply
    dequantize, x, ends = dequantizer(problem), problem.arriving, _ends(problem)

    def call(*packed: Any) -> torch.Tensor:
        w = dequantize(*packed).view(case.experts, case.n, case.k)
        return multiply(x, w.transpose(-1, -2), offs=ends)

    return Prepared(packed_weight(problem), call, hot=("activations", "output", "dequantized weights"))


def _build_loop(problem: Problem) -> Prepared:
    from quantroof.kernels.experts.reference import grouped_product

    case, x = _case(problem), problem.arriving
    return Prepared((problem.weight.codes,), lambda w: grouped_product(case, x, w))


def _build_fp8(problem: Problem) -> Prepared | Skip:
    import torch

    case, x, ends = _case(problem), problem.arriving, _ends(problem)
    limit = element("fp8_e4m3").max_value
    multiply = getattr(torch, "_scaled_grouped_mm", None)
    if multiply is None:
        return Skip(f"torch {torch.__version__} has no _scaled_grouped_mm")

    def call(w: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
        xs = x.abs().amax(dim=1).float().clamp_min_(1e-12).div_(limit)
        codes = (x / xs[:, None]).to(torch.float8_e4m3fn)
        y: torch.Tensor = multiply(codes, w.transpose(-1, -2), xs, ws, offs=ends, out_dtype=torch.bfloat16)
        return y

    shape = (case.experts, case.n)
    weights = (problem.weight.codes.view(*shape, case.k), problem.weight.scale.view(shape).contiguous())
    try:
        call(*weights)
    except (RuntimeError, ValueError) as error:
        return Skip(f"torch refuses grouped fp8 products here: {first_line(error)}")
    return Prepared(weights, call)


_kernel = partial(Kernel, provider="torch", check=_check, operations=("grouped_gemm",))
_UNPACKED = ("int8-w8a16", "fp8-w8a16", "int4-w4a16", "nf4-w4a16", "mxfp4-w4a16", "nvfp4-w4a16")

KERNELS = (
    _kernel(name="torch.grouped_mm", schemes=("bf16",), build=_build, summary="F.grouped_mm"),
    _kernel(
        name="torch.experts_loop",
        schemes=("bf16",),
        build=_build_loop,
        summary="one product per expert that has rows",
    ),
    _kernel(
        name="torch.dequant+grouped_mm",
        schemes=_UNPACKED,
        build=_build_unpacked,
        summary="all experts' weights written out in bf16, then F.grouped_mm",
    ),
    _kernel(
        name="torch.quant+scaled_grouped_mm",
        schemes=("fp8-w8a8",),
        build=_build_fp8,
        check=_check_fp8,
        targets=("gpu",),
        summary="per-token quantizing, _scaled_grouped_mm with row scales",
    ),
)
