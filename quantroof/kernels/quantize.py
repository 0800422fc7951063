"""Quantization of a [rows, K] tensor, and its inverse. Pure torch, the same on CPU and GPU.

Symmetric      s = max|x| / qmax,            q = clamp(round(x / s), -qmax, qmax),       x' = s q
Zero point     s = (max - min) / (2^b - 1),  q = clamp(round(x / s) + z, 0, 2^b - 1),    x' = s (q - z)
               with 0 inside [min, max], so that z = round(-min / s) is a code and 0 is represented exactly
Codebook       s = max|x|,                   q = index of the level nearest to x / s,    x' = s level[q]

The error of an integer format is at most s / 2 inside the range (a zero point rounds once more: up to s).
Rounding is to nearest, ties to even. NaN and infinity are refused; fp8 saturates at its largest value.
`block_scales` has the formats with 8-bit block scales.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from quantroof.kernels.block_scales import e2m1_values, quantize_blocks
from quantroof.kernels.formats import Format, nf4_levels

_FLOAT_TYPES: dict[str, torch.dtype] = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8_e4m3": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
    "mxfp8": torch.float8_e4m3fn,
}


@dataclass(frozen=True, slots=True)
class Quantized:
    """Codes [rows, K], one value per element, with fp32 scales [rows, K / group].

    Signed codes are int8 (int4 too), codes with a zero point and codebook indices uint8. For formats without
    scales `codes` is the rounded tensor itself and `scales` is None; a per-tensor scale has shape [1, 1], a
    per-channel or per-token one [rows, 1], those of blocks [ceil(rows / block), K / block]. `zeros` (uint8)
    has the shape of the scales. `order` (int64 [K]) lists the columns in the order in which they are grouped;
    the codes themselves stay in the given order. Codes of e2m1 are uint8; scales of 8-bit types are held by
    value, in plain order whatever the format's layout; `tensor_scale` (fp32 [1]) is nvfp4's.
    """

    format: Format
    codes: torch.Tensor
    scales: torch.Tensor | None
    zeros: torch.Tensor | None = None
    order: torch.Tensor | None = None
    tensor_scale: torch.Tensor | None = None

    @property
    def scale(self) -> torch.Tensor:
        """The scales of a format that has them."""
        if self.scales is None:
            raise ValueError(f"{self.format} has no scales")
        return self.scales

    def dequantized(self, dtype: torch.dtype = torch.float64) -> torch.Tensor:
        """The values that a kernel is given, as [rows, K] of `dtype`."""
        if self.format.element.kind == "codebook":
            values = torch.tensor(nf4_levels(), dtype=torch.float32, device=self.codes.device).to(dtype)
            values = values[self.codes.long()]
        elif self.format.element.is_e2m1:
            values = e2m1_values(self.codes, dtype)
        else:
            values = self.codes.to(dtype)
        if self.scales is None:
            return values
        if self.order is not None:
            values = values[:, self.order]
        rows, k = values.shape
        grouped = values.view(rows, self.scales.shape[1], -1)
        if self.zeros is not None:
            grouped = grouped - self.zeros.to(dtype)[:, :, None]
        scales = self.scales.to(dtype)
        if self.tensor_scale is not None:
            scales = scales * self.tensor_scale.to(dtype)
        if self.format.granularity == "block" and self.format.group:
            scales = scales.repeat_interleave(self.format.group, dim=0)[:rows]
        scaled = (grouped * scales[:, :, None]).view(rows, k)
        return scaled if self.order is None else scaled[:, torch.argsort(self.order)]


def storage_dtype(fmt: Format) -> torch.dtype:
    """The torch dtype that holds one element of a format."""
    if fmt.zero_point or fmt.element.kind == "codebook" or fmt.element.is_e2m1:
        return torch.uint8
    return _FLOAT_TYPES.get(fmt.element.name, torch.int8)


def quantize(x: torch.Tensor, fmt: Format) -> Quantized:
    """Quantize fp32 x [rows, K] to a format. Raises ValueError for NaN or infinity."""
    if not torch.isfinite(x).all():
        raise ValueError("cannot quantize NaN or infinity")
    if fmt.granularity == "none":
        limit = fmt.element.max_value
        return Quantized(fmt, x.clamp(-limit, limit).to(storage_dtype(fmt)), None)
    if fmt.element.scale is not None:
        blocks = quantize_blocks(x, fmt.element)
        return Quantized(fmt, blocks.codes, blocks.scales, tensor_scale=blocks.tensor_scale)
    order = _importance_order(x) if fmt.act_order else None
    grouped = _grouped(x if order is None else x[:, order], fmt)
    scales = _shippable(_range(grouped, fmt), fmt)
    zeros = None
    scaled = grouped / scales[..., None]
    if fmt.zero_point:
        zeros = (-grouped.amin(dim=-1) / scales).round().clamp(0, _codes_of(fmt))
        codes = (scaled.round() + zeros[..., None]).clamp(0, _codes_of(fmt))
    elif fmt.element.kind == "codebook":
        codes = _nearest_level(scaled)
    else:
        limit = fmt.element.max_value
        codes = (scaled.round() if fmt.element.kind == "int" else scaled).clamp(-limit, limit)
    codes = codes.to(storage_dtype(fmt)).reshape(x.shape)
    if order is not None:
        codes = codes[:, torch.argsort(order)]
    shape = (1, 1) if fmt.granularity == "tensor" else (x.shape[0], -1)
    stored = None if zeros is None else zeros.to(torch.uint8).reshape(shape)
    scales = scales.reshape(shape)
    if fmt.granularity == "block":
        scales = scales[:: fmt.group].contiguous()
    return Quantized(fmt, codes.contiguous(), scales, stored, order)


def _codes_of(fmt: Format) -> int:
    """The largest code of a format with a zero point."""
    return int(2**fmt.element.bits - 1)


def _range(grouped: torch.Tensor, fmt: Format) -> torch.Tensor:
    """The step that spans each group's values; 1 for a group of zeros, which has no range to divide."""
    if fmt.zero_point:
        spread = grouped.amax(dim=-1).clamp(min=0) - grouped.amin(dim=-1).clamp(max=0)
        step = spread / _codes_of(fmt)
    else:
        top = grouped.abs().amax(dim=-1)
        if fmt.granularity == "block" and fmt.group:
            top = _shared_by_rows(top, fmt.group)
        step = top / fmt.element.max_value
    return torch.where(step > 0, step, torch.ones_like(step))


def _shared_by_rows(top: torch.Tensor, block: int) -> torch.Tensor:
    """The largest of each `block` rows, for every one of them; the last block may be short."""
    rows = top.shape[0]
    padded = torch.nn.functional.pad(top, (0, 0, 0, -rows % block))
    largest = padded.view(-1, block, top.shape[1]).amax(dim=1)
    return largest.repeat_interleave(block, dim=0)[:rows]


def _shippable(scales: torch.Tensor, fmt: Format) -> torch.Tensor:
    """What ships in 16 bits must be what the codes are made for. bf16 has fp32's range."""
    return scales.bfloat16().float() if fmt.scale_bits == 16 else scales


def _nearest_level(scaled: torch.Tensor) -> torch.Tensor:
    """Indices of the nearest NF4 levels: the number of midpoints below each value."""
    levels = torch.tensor(nf4_levels(), dtype=torch.float32, device=scaled.device)
    return torch.bucketize(scaled.contiguous(), (levels[1:] + levels[:-1]) / 2)


def _importance_order(x: torch.Tensor) -> torch.Tensor:
    """Columns by falling sum of squares.

    GPTQ sorts by the Hessian's diagonal, which needs calibration data. What an order costs at run time does
    not depend on which one it is, so the weights' own energy stands in for it.
    """
    return torch.argsort(x.square().sum(dim=0), descending=True, stable=True)


def _grouped(x: torch.Tensor, fmt: Format) -> torch.Tensor:
    rows, k = x.shape
    if fmt.granularity == "tensor":
        return x.reshape(1, 1, rows * k)
    width = fmt.group or k
    return x.reshape(rows, k // width, width)
