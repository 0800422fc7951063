"""The Program that quantizes activations row by row. Imports torch only when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.kernels.formats import Element
from quantroof.kernels.program import Program

if TYPE_CHECKING:
    import torch

_POINTERS = {"int8": "*i8", "fp8_e4m3": "*fp8e4nv"}


def quantize_rows_program(element: Element, rows: int, k: int) -> Program:
    """Quantize bf16 [rows, k] to an element: launch with (x, codes, scales, k)."""
    from quantroof.kernels.act_quant.device.per_token import quantize_rows

    block = 1 << (k - 1).bit_length()
    return Program(
        function=quantize_rows,
        grid=(rows, 1, 1),
        arguments=("*bf16", _POINTERS[element.name], "*fp32", "i32:16"),
        constants={"LIMIT": element.max_value, "BLOCK": block},
        # 16 values per thread, 32 for the widest rows: enough loads in flight, no spills.
        num_warps=min(16, max(1, block // 512)),
        num_stages=1,
    )


def dequantized_rows(output: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """fp64 values [rows, k] of (codes [rows, k], scales [rows])."""
    codes, scales = output
    return codes.double() * scales.double()[:, None]
