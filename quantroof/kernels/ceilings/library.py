"""The best library GEMM per element type on a GPU: cuBLAS and cuBLASLt through torch, and nothing else.

Cases time what a serving engine calls, with scales and conversions; a ceiling is the product alone, in the
fastest form the library has of it (fp8 with its fast accumulation, int8 into int32).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from quantroof.hwprofiles.types import Device
from quantroof.kernels.kernel import Prepared, Skip
from quantroof.kernels.requirements import needs_capability

# (M, N, K); of mamf-finder's 24 shapes on an H200 the first was the fastest in bf16 and the third in fp8, and
# large squares hold the highest int8 rate. All meet what `_int_mm` and `_scaled_mm` ask of M, N and K.
SHAPES = (
    (1024, 4096, 13312),
    (4096, 4096, 4096),
    (1024, 9216, 13312),
    (2048, 8192, 4096),
    (8192, 8192, 8192),
)


@dataclass(frozen=True, slots=True)
class LibraryGemm:
    """One product x [M, K] @ w [N, K].T. `operand` makes a random matrix, `multiply` the product."""

    element: str
    kernel: str
    capability: tuple[int, int]
    operand: Callable[[tuple[int, int], Any], Any]
    multiply: Callable[[Any, Any], Any]
    precision: str = "highest"
    shapes: tuple[tuple[int, int, int], ...] = SHAPES

    def check(self, device: Device) -> Skip | None:
        """Why this device has no matrix instructions for the element, or None."""
        return needs_capability(device, self.capability, f"{self.element} matrix instructions")

    def build(self, device: Device, shape: tuple[int, int, int], seed: int) -> Prepared:
        """Operands on the device, ready to be rotated and timed."""
        import torch

        m, n, k = shape
        where = torch.device("cuda", device.index)
        generator = torch.Generator(where).manual_seed(seed)
        x, w = self.operand((m, k), generator), self.operand((n, k), generator)
        torch.set_float32_matmul_precision(self.precision)

        def call(w: Any) -> Any:
            return self.multiply(x, w)

        return Prepared((w,), call, hot=("activations", "output"))


def library_gemms() -> tuple[LibraryGemm, ...]:
    """What is tried; where an element has several, the best one counts."""
    import torch

    f32, f8 = torch.float32, torch.float8_e4m3fn
    return (
        LibraryGemm("fp32", "torch.mm", (5, 0), _normal(f32), _mm),
        LibraryGemm("tf32", "torch.mm", (8, 0), _normal(f32), _mm, "high"),
        LibraryGemm("fp16", "torch.mm", (7, 0), _normal(torch.float16), _mm),
        LibraryGemm("bf16", "torch.mm", (8, 0), _normal(torch.bfloat16), _mm),
        LibraryGemm("int8", "torch._int_mm", (7, 5), _normal(torch.int8, 127 / 5), _int_mm),
        LibraryGemm("fp8_e4m3", "torch._scaled_mm/fast", (8, 9), _normal(f8, 448 / 5), _scaled_mm),
    )


def _normal(dtype: Any, spread: float = 1.0) -> Callable[[tuple[int, int], Any], Any]:
    """Normal values cut at five deviations, `spread` each: what quantized weights look like."""

    def make(shape: tuple[int, int], generator: Any) -> Any:
        import torch

        values = torch.randn(shape, generator=generator, device=generator.device)
        return values.clamp_(-5, 5).mul_(spread).to(dtype)

    return make


def _mm(x: Any, w: Any) -> Any:
    return x @ w.t()


def _int_mm(x: Any, w: Any) -> Any:
    import torch

    return torch._int_mm(x, w.t())


def _scaled_mm(x: Any, w: Any) -> Any:
    import torch

    one = _one(x.device)
    return torch._scaled_mm(x, w.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16, use_fast_accum=True)


@lru_cache(maxsize=8)
def _one(device: Any) -> Any:
    """A scale of 1 on a device, made once, in the warm-up: filling it is not part of a product."""
    import torch

    return torch.ones(1, 1, device=device)
