"""Symmetric quantisation of a [rows, K] tensor, and its inverse. Pure torch, the same on CPU and GPU.

q = clamp(round(x / s), -qmax, qmax), x' = s q, with s = max|x| / qmax over the scale's elements; the error is
at most s / 2 inside the range. Rounding is to nearest, ties to even.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from quantroof.kernels.formats import Format

_FLOAT_TYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8_e4m3": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}


@dataclass(frozen=True, slots=True)
class Quantized:
    """Codes [rows, K] (int8 holds int4 too, one value an element) with fp32 scales [rows, K / group].

    For formats without scales `codes` is the rounded tensor itself and `scales` is None; a per-tensor scale
    has shape [1, 1], a per-channel or per-token one [rows, 1].
    """

    format: Format
    codes: torch.Tensor
    scales: torch.Tensor | None

    @property
    def scale(self) -> torch.Tensor:
        """The scales of a format that has them."""
        if self.scales is None:
            raise ValueError(f"{self.format} has no scales")
        return self.scales

    def dequantized(self, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """The very values a kernel is given, as [rows, K] of `dtype`."""
        values = self.codes.to(dtype)
        if self.scales is None:
            return values
        rows, k = values.shape
        groups = self.scales.shape[1]
        return (values.view(rows, groups, k // groups) * self.scales.to(dtype)[:, :, None]).view(rows, k)


def storage_dtype(fmt: Format) -> torch.dtype:
    """The torch dtype that holds one element of a format."""
    return _FLOAT_TYPES.get(fmt.element.name, torch.int8)


def quantize(x: torch.Tensor, fmt: Format) -> Quantized:
    """Quantise fp32 x [rows, K] to a format. Raises ValueError for NaN, infinity or a zero-point format."""
    if fmt.zero_point or fmt.element.kind == "codebook":
        raise ValueError(f"{fmt} is not symmetric: no quantiser yet")
    if not torch.isfinite(x).all():
        raise ValueError("cannot quantise NaN or infinity")
    if fmt.granularity == "none":
        return Quantized(fmt, x.to(storage_dtype(fmt)), None)
    grouped = _grouped(x, fmt)
    # A group of zeros has no range; scale 1 keeps its codes 0 without dividing by 0.
    top = grouped.abs().amax(dim=-1)
    scales = torch.where(top > 0, top / fmt.element.max_value, torch.ones_like(top))
    if fmt.scale_bits == 16:
        scales = scales.bfloat16().float()  # what ships in 16 bits must be what the codes are made for
    scaled = grouped / scales[..., None]
    limit = fmt.element.max_value
    if fmt.element.kind == "int":
        codes = scaled.round().clamp(-limit, limit).to(torch.int8)
    else:
        codes = scaled.clamp(-limit, limit).to(storage_dtype(fmt))
    shape = (1, 1) if fmt.granularity == "tensor" else (x.shape[0], -1)
    return Quantized(fmt, codes.reshape(x.shape), scales.reshape(shape))


def _grouped(x: torch.Tensor, fmt: Format) -> torch.Tensor:
    rows, k = x.shape
    if fmt.granularity == "tensor":
        return x.reshape(1, 1, rows * k)
    width = fmt.group or k
    return x.reshape(rows, k // width, width)
