"""The best library product of block-scaled elements: `scaled_mm` by torch's recipes, and nothing else.

Both operands lie there as cuBLASLt reads them, codes packed and scales swizzled: no quantizing is timed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quantroof.hwprofiles import native
from quantroof.hwprofiles.types import Device
from quantroof.kernels.ceilings.library import SHAPES
from quantroof.kernels.formats import ELEMENTS
from quantroof.kernels.kernel import Prepared, Skip
from quantroof.kernels.requirements import needs_capability

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class BlockScaledGemm:
    """One product x [M, K] @ w [N, K].T of an element with 8-bit block scales."""

    element: str
    kernel: str = "torch.scaled_mm"
    shapes: tuple[tuple[int, int, int], ...] = SHAPES[2:]  # fewer, so that all ceilings of a GPU end in time

    def check(self, device: Device) -> Skip | None:
        """Why the device or its torch cannot multiply the element, or None."""
        from quantroof.kernels.linear.torch_mx import multiplier

        found = multiplier(ELEMENTS[self.element])
        lacks = needs_capability(device, (10, 0), f"{self.element} matrix instructions")
        return lacks or (found if isinstance(found, Skip) else None)

    def operand(self, shape: tuple[int, int], generator: torch.Generator) -> tuple[torch.Tensor, ...]:
        """Normal values of [rows, K], quantized: codes, scales, and the tensor scale of nvfp4."""
        import torch

        from quantroof.kernels.block_scales import quantize_blocks
        from quantroof.kernels.linear.torch_mx import operand

        element = ELEMENTS[self.element]
        blocks = quantize_blocks(torch.randn(shape, generator=generator, device=generator.device), element)
        own = () if blocks.tensor_scale is None else (blocks.tensor_scale,)
        return (*operand(blocks.codes, blocks.scales, element), *own)

    def build(self, device: Device, shape: tuple[int, int, int], seed: int) -> Prepared | Skip:
        """Operands on the device, ready to be rotated and timed."""
        import torch

        from quantroof.kernels.linear.torch_mx import multiplier

        multiply = multiplier(ELEMENTS[self.element])
        if isinstance(multiply, Skip):
            return multiply
        m, n, k = shape
        generator = torch.Generator(torch.device("cuda", device.index)).manual_seed(seed)
        x, w = self.operand((m, k), generator), self.operand((n, k), generator)

        def call(*w: Any) -> Any:
            return multiply(x, w)

        return Prepared(w, call, hot=("activations", "output"))


def block_scaled_gemms(device: Device) -> tuple[BlockScaledGemm, ...]:
    """Those that the device's matrix units multiply; none before Blackwell."""
    arch = native.architecture_of(device.compute_capability or "")
    elements = [element.name for element in ELEMENTS.values() if element.block is not None]
    return tuple(BlockScaledGemm(name) for name in elements if arch and native.multiplies(name, arch))
