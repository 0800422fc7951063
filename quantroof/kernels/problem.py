"""A Problem: the data of one case on one device. The expected output is in `reference`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

import torch

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.formats import Element, Format
from quantroof.kernels.quantize import Quantized, quantize, storage_dtype

# Relative Frobenius error a correct kernel may show against fp64 of the values it was given. An output
# rounded to p mantissa bits contributes about 2^-p / sqrt(12); dequantizing to the activations' format costs
# as much again, and library kernels may add in fp16 or tf32. Factors of about 4 above what was seen on one
# x86 CPU (bf16 1.7e-3, fp16 2.1e-4, fp32 4e-7), so that a wrong scale or a lost group still stands out.
_TOLERANCE = {"fp32": 1e-5, "tf32": 2e-3, "fp16": 2e-3, "bf16": 8e-3}

_WEIGHT_SEED = 0x5EED


def tolerance(case: Case) -> float:
    """Largest relative Frobenius error of a correct kernel: owned by the formats of the case."""
    names = (case.output.element.name, case.activation.element.name)
    return max(_TOLERANCE.get(name, 0.0) for name in names)


@dataclass(frozen=True)
class Weights:
    """Weights [N, K] and all that follows from them alone: the same for every M of a layer and format."""

    format: Format
    rows: int
    k: int
    device: torch.device
    seed: int

    @cached_property
    def source(self) -> torch.Tensor:
        """Normal fp32 values, by a seed that is not the activations'."""
        generator = torch.Generator(self.device).manual_seed(self.seed + _WEIGHT_SEED)
        return torch.randn((self.rows, self.k), generator=generator, device=self.device)

    @cached_property
    def quantized(self) -> Quantized:
        """In their format."""
        return quantize(self.source, self.format)

    def with_quantized(self, quantized: Quantized) -> Weights:
        """The same weights with other codes; without the values that those were rounded from."""
        other = replace(self)
        vars(other)["quantized"] = quantized
        return other


@lru_cache(maxsize=1)  # a suite runs through the batches of one layer and format, so one is enough
def _weights_of(fmt: Format, rows: int, k: int, device: torch.device, seed: int) -> Weights:
    return Weights(fmt, rows, k, device, seed)


def forget_weights() -> None:
    """Drop the cached weights: a kernel with wrong results may have written into them."""
    _weights_of.cache_clear()


@dataclass(frozen=True)
class Problem:
    """x [M, K] and w [N, K] of standard normal fp32 values, seeded, with their quantized forms."""

    case: Case
    device: Device
    seed: int = 0

    @property
    def torch_device(self) -> torch.device:
        """Where the tensors live."""
        return torch.device("cuda", self.device.index) if self.device.kind == "cuda" else torch.device("cpu")

    @cached_property
    def source(self) -> torch.Tensor:
        """The activations [M, K], or the queries of attention, as normal fp32 values before any rounding."""
        generator = torch.Generator(self.torch_device).manual_seed(self.seed)
        shape = (self.case.activation_rows, self.case.k)
        return torch.randn(shape, generator=generator, device=self.torch_device)

    @cached_property
    def weights(self) -> Weights:
        """The weights with the values that they were rounded from."""
        case = self.case
        return _weights_of(case.weight, case.weight_rows, case.k, self.torch_device, self.seed)

    @property
    def weight(self) -> Quantized:
        """The weight [N, K] in its format; it must not be modified, because the next case may share it."""
        return self.weights.quantized

    @cached_property
    def arriving(self) -> torch.Tensor:
        """The activations [M, K] as they reach the call: in the format, or in what it converts from."""
        given = self.case.activation.arrives_as
        return self.source.to(storage_dtype(_plain(given))) if given else self.activation.codes

    @cached_property
    def activation(self) -> Quantized:
        """The activations [M, K] in the format that enters the multiplier."""
        fmt = self.case.activation
        if fmt.arrives_as is None:
            return quantize(self.source, fmt)
        return quantize(self.arriving.float(), replace(fmt, arrives_as=None))

    def with_operands(
        self, *, weight: Quantized | None = None, arriving: torch.Tensor | None = None
    ) -> Problem:
        """The same problem with another weight or other activations; the rest is shared."""
        other = Problem(self.case, self.device, self.seed)
        own = {name: value for name, value in vars(self).items() if name not in ("case", "device", "seed")}
        if arriving is not None:
            own = {"arriving": arriving}
        if weight is not None:
            own["weights"] = self.weights.with_quantized(weight)
        vars(other).update(own)
        return other


def _plain(element: Element) -> Format:
    return Format(element)
