"""Dequantization of weights to bf16 in plain torch, alone and before F.linear, on every device."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quantroof.kernels.dequantize.torch_blocks import block_dequantizer, packed_blocks
from quantroof.kernels.kernel import Kernel, Prepared

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem


def packed_weight(problem: Problem) -> tuple[torch.Tensor, ...]:
    """(codes, scales) and the zero points of a format that has them; two 4-bit codes per byte."""
    if problem.case.weight.element.block:
        return packed_blocks(problem)
    from quantroof.kernels.packing import pack_nibbles

    weight = problem.weight
    codes = weight.codes
    if weight.format.element.bits == 4:
        codes = pack_nibbles(
            codes + 8 if weight.format.element.name == "int4" and weight.zeros is None else codes
        )
    scales = weight.scale.bfloat16() if weight.format.scale_bits == 16 else weight.scale
    return (codes, scales) if weight.zeros is None else (codes, scales, weight.zeros)


def dequantizer(problem: Problem) -> Callable[..., torch.Tensor]:
    """A function from packed tensors to bf16 [rows, K]."""
    if problem.case.weight.element.block:
        return block_dequantizer(problem)
    return _group_dequantizer(problem)


def _group_dequantizer(problem: Problem) -> Callable[..., torch.Tensor]:
    import torch

    from quantroof.kernels.formats import nf4_levels
    from quantroof.kernels.packing import unpack_nibbles

    fmt, k, device = problem.case.weight, problem.case.k, problem.torch_device
    levels = torch.tensor(nf4_levels(), device=device) if fmt.element.name == "nf4" else None
    order = problem.weight.order
    inverse = None if order is None else torch.argsort(order)

    def dequantize(
        codes: torch.Tensor, scales: torch.Tensor, zeros: torch.Tensor | None = None
    ) -> torch.Tensor:
        q = unpack_nibbles(codes) if fmt.element.bits == 4 else codes
        values = levels[q.int()] if levels is not None else q.to(scales.dtype)
        if order is not None:
            values = values[:, order]
        grouped = values.view(values.shape[0], scales.shape[1], -1)
        if zeros is not None:
            grouped = grouped - zeros[:, :, None]
        elif fmt.element.name == "int4":
            grouped = grouped - 8
        out = (grouped * scales[:, :, None]).bfloat16().view(-1, k)
        return out if inverse is None else out[:, inverse]

    return dequantize


def _build(problem: Problem) -> Prepared:
    return Prepared(packed_weight(problem), dequantizer(problem), hot=("output",))


def _build_linear(problem: Problem) -> Prepared:
    import torch

    dequantize, x = dequantizer(problem), problem.arriving

    def call(*packed: Any) -> torch.Tensor:
        return torch.nn.functional.linear(x, dequantize(*packed))

    return Prepared(packed_weight(problem), call, hot=("activations", "output", "dequantized weights"))


KERNELS = (
    Kernel(
        "torch.dequantize",
        "torch",
        ("int8-dequant", "int4-dequant", "nf4-dequant"),
        _build,
        operations=("dequantize",),
        summary="unpack, subtract, scale, cast: several passes over memory",
    ),
    Kernel(
        "torch.dequant+linear",
        "torch",
        (
            "int8-w8a16",
            "fp8-w8a16",
            "int4-w4a16",
            "int4-zp-w4a16",
            "int4-actorder-w4a16",
            "nf4-w4a16",
            "mxfp4-w4a16",
            "nvfp4-w4a16",
        ),
        _build_linear,
        summary="weights written out in bf16 by torch operations, then F.linear",
    ),
)
