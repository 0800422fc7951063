"""Weights with 8-bit block scales as they are stored, and written out in bf16 by torch operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem


def packed_blocks(problem: Problem) -> tuple[torch.Tensor, ...]:
    """(codes, scale bytes in the format's layout, the tensor scale of nvfp4); two 4-bit codes per byte."""
    from quantroof.kernels.block_scales import scale_codes, swizzled
    from quantroof.kernels.packing import pack_nibbles

    weight = problem.weight
    element = weight.format.element
    codes = pack_nibbles(weight.codes) if element.is_e2m1 else weight.codes
    scales = scale_codes(weight.scale, element)
    laid = swizzled(scales) if weight.format.swizzled else scales
    return (codes, laid) if weight.tensor_scale is None else (codes, laid, weight.tensor_scale)


def block_dequantizer(problem: Problem) -> Callable[..., torch.Tensor]:
    """A function from packed tensors to bf16 [rows, K]."""
    import torch

    from quantroof.kernels.block_scales import e2m1_values, e8m0_values, unswizzled
    from quantroof.kernels.packing import unpack_nibbles

    fmt, k = problem.case.weight, problem.case.k
    groups = fmt.scale_count(1, k) if not fmt.swizzled else k // (fmt.group or k)

    def dequantize(
        codes: torch.Tensor, scales: torch.Tensor, tensor_scale: torch.Tensor | None = None
    ) -> torch.Tensor:
        values = e2m1_values(unpack_nibbles(codes)) if fmt.element.is_e2m1 else codes.float()
        plain = unswizzled(scales, values.shape[0], groups) if fmt.swizzled else scales
        if fmt.element.scale == "e8m0":
            steps = e8m0_values(plain)
        else:
            steps = plain.contiguous().view(torch.float8_e4m3fn).float()
        if tensor_scale is not None:
            steps = steps * tensor_scale
        return (values.view(*steps.shape, -1) * steps[..., None]).bfloat16().view(-1, k)

    return dequantize
