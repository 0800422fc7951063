"""Products of formats that a device may not multiply, emulated in torch: unpack both operands, F.linear.

They make every format measurable anywhere, its error included. The multiplier sees bf16, which is therefore
the roof of such a row, whatever the format promises on other hardware.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.dequantize.torch_dequantize import dequantizer, packed_weight
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem


def _check(_: Case, device: Device) -> Skip | None:
    return needs_capability(device, (8, 0), "bf16 kernels") if device.processor == "gpu" else None


def _rounding(problem: Problem) -> Callable[[torch.Tensor], torch.Tensor]:
    """A function from bf16 [M, K] to the values of its codes and scales, in bf16 again.

    The tensor scale of nvfp4 is the one of the problem: engines calibrate it beforehand.
    """
    import torch

    from quantroof.kernels.block_scales import e2m1_values, quantize_blocks

    element, tensor_scale = problem.case.activation.element, problem.activation.tensor_scale

    def by_token(x: torch.Tensor) -> torch.Tensor:
        scales = x.abs().amax(dim=1, keepdim=True).float().clamp_min_(1e-12).div_(element.max_value)
        return ((x / scales).to(torch.float8_e4m3fn).float() * scales).bfloat16()

    def by_block(x: torch.Tensor) -> torch.Tensor:
        blocks = quantize_blocks(x, element, tensor_scale)
        codes = e2m1_values(blocks.codes) if element.is_e2m1 else blocks.codes.float()
        scales = blocks.scales if tensor_scale is None else blocks.scales * tensor_scale
        return (codes.view(*scales.shape, -1) * scales[..., None]).bfloat16().view(x.shape)

    return by_token if element.block is None else by_block


def _build(problem: Problem) -> Prepared:
    import torch

    dequantize, rounded, x = dequantizer(problem), _rounding(problem), problem.arriving

    def call(*packed: Any) -> torch.Tensor:
        return torch.nn.functional.linear(rounded(x), dequantize(*packed))

    return Prepared(packed_weight(problem), call, hot=("activations", "output", "dequantized weights"))


KERNELS = (
    Kernel(
        "torch.quant+dequant+linear",
        "torch",
        ("mxfp8-w8a8", "mxfp4-w4a4", "nvfp4-w4a4", "mxfp4-w4a8", "int4-w4a8"),
        _build,
        _check,
        summary="emulation: activations quantized, both operands written out in bf16, F.linear",
        computes="bf16",
    ),
)
