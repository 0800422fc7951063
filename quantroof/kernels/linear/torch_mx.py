"""MXFP8, MXFP4 and NVFP4 products in torch: `F.scaled_mm` by its recipes, `_scaled_mm` before torch had them.

cuBLASLt takes block scales in the swizzled order only. Weights are laid out beforehand; activations are
quantized and their scales swizzled inside the call, by torch operations. The tensor scale of NVFP4's
activations is the one of the problem, because engines calibrate it; `_scaled_mm` lacks tensor scales, so that
their product is applied to the output there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from quantroof.errors import first_line
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.formats import Element
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

    Operand = tuple[torch.Tensor, ...]  # packed codes, swizzled scales, the tensor scale of nvfp4


def _check(case: Case, device: Device) -> Skip | None:
    what = "torch's block-scaled product"
    return (
        needs_capability(device, (10, 0), "block-scaled matrix instructions")
        or needs_multiple(case.k, 32, "K", what)
        or needs_multiple(case.n, 16, "N", what)
    )


def operand(codes: torch.Tensor, scales: torch.Tensor, element: Element) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes [rows, K] and scales by value as torch's types: (packed codes, swizzled scales)."""
    import torch

    from quantroof.kernels.block_scales import scale_codes, swizzled

    scale_type = torch.float8_e8m0fnu if element.scale == "e8m0" else torch.float8_e4m3fn
    laid = swizzled(scale_codes(scales, element)).view(scale_type)
    if not element.is_e2m1:
        return codes, laid
    packed = codes[:, ::2] | codes[:, 1::2] << 4
    return packed.view(torch.float4_e2m1fn_x2), laid


def multiplier(element: Element) -> Callable[[Operand, Operand], torch.Tensor] | Skip:
    """y = multiply(activations, weights), or why this torch has none."""
    import torch

    functional = torch.nn.functional
    if not hasattr(torch, "float8_e8m0fnu") or not hasattr(torch, "float4_e2m1fn_x2"):
        return Skip(f"torch {torch.__version__} lacks the types of block-scaled formats")
    if not hasattr(functional, "scaled_mm"):
        if element.name == "mxfp4":
            return Skip(f"torch {torch.__version__} has no MXFP4 product: F.scaled_mm came later")
        return _by_types
    kinds, order = functional.ScalingType, functional.SwizzleType.SWIZZLE_32_4_4
    recipes = [kinds.BlockWise1x32 if element.scale == "e8m0" else kinds.BlockWise1x16]
    orders = [order]
    if element.scale == "e4m3":
        recipes, orders = [*recipes, kinds.TensorWise], [*orders, functional.SwizzleType.NO_SWIZZLE]

    def multiply(x: Operand, w: Operand) -> torch.Tensor:
        return functional.scaled_mm(
            x[0], w[0].t(), list(x[1:]), recipes, list(w[1:]), recipes,
            swizzle_a=orders, swizzle_b=orders, output_dtype=torch.bfloat16,
        )  # fmt: skip

    return multiply


def _by_types(x: Operand, w: Operand) -> torch.Tensor:
    """The product before F.scaled_mm: the recipe follows from the types of codes and scales."""
    import torch

    y = torch._scaled_mm(x[0], w[0].t(), scale_a=x[1], scale_b=w[1], out_dtype=torch.bfloat16)
    return y if len(x) == 2 else y.mul_((x[2] * w[2]).bfloat16())


def _build(problem: Problem) -> Prepared | Skip:
    from quantroof.kernels.block_scales import quantize_blocks

    case, weight = problem.case, problem.weight
    element = case.compute
    multiply = multiplier(element)
    if isinstance(multiply, Skip):
        return multiply
    arriving, calibrated = problem.arriving, problem.activation.tensor_scale
    own = () if calibrated is None else (calibrated,)

    def call(*packed: Any) -> torch.Tensor:
        blocks = quantize_blocks(arriving, element, calibrated)
        return multiply((*operand(blocks.codes, blocks.scales, element), *own), packed)

    tensor_scale = () if weight.tensor_scale is None else (weight.tensor_scale,)
    weights = (*operand(weight.codes, weight.scale, element), *tensor_scale)
    try:
        call(*weights)
    except (RuntimeError, ValueError) as error:
        return Skip(f"torch refuses the {element.name} recipe here: {first_line(error)}")
    return Prepared(weights, call, {"scales": "swizzled"})


_kernel = partial(Kernel, provider="torch", build=_build, check=_check, targets=("gpu",))

KERNELS = (
    _kernel(
        name="torch.quant+scaled_mm_mx",
        schemes=("mxfp8-w8a8", "mxfp4-w4a4"),
        summary="quantizing in blocks of 32, scaled_mm with e8m0 scales",
    ),
    _kernel(
        name="torch.quant+scaled_mm_nv",
        schemes=("nvfp4-w4a4",),
        summary="quantizing in blocks of 16, scaled_mm with e4m3 scales and a tensor scale",
    ),
)
