"""Formats with 8-bit block scales: MXFP8, MXFP4 and NVFP4. Codes, scales and their layouts, in pure torch.

MX      s = 2^(floor(log2 max|x|) - e), e = 8 for e4m3 and 2 for e2m1, as an e8m0 code (OCP MX 1.0, 6.3)
NVFP4   t = max|tensor| / (6 * 448) in fp32,  s = e4m3(max|block| / 6 / t), never below e4m3's least normal

Values beyond the largest code saturate; rounding is to nearest, ties to even. The order of the operations is
that of torchao's CPU code, whose codes and scales these equal bit for bit. Nothing here waits for the device,
so a CUDA graph can hold it.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import lru_cache

import torch

from quantroof.kernels.formats import SWIZZLED_COLUMNS, SWIZZLED_ROWS, Element, e2m1_levels

_E8M0_NAN = 255
_E4M3_MAX = 448.0
_E4M3_LEAST_NORMAL = 2.0**-6
_E2M1_MAX = 6.0
_SWIZZLED_LANES = 32  # rows 0, 32, 64 and 96 of a tile are neighbors in memory


@dataclass(frozen=True, slots=True)
class Blocks:
    """Codes [rows, K], the scales [rows, K / block] by value in fp32, and the tensor scale [1] of nvfp4."""

    codes: torch.Tensor
    scales: torch.Tensor
    tensor_scale: torch.Tensor | None


def quantize_blocks(x: torch.Tensor, element: Element, tensor_scale: torch.Tensor | None = None) -> Blocks:
    """Quantize finite x [rows, K]; without a tensor scale nvfp4 takes the one of x."""
    assert element.block is not None
    values = x.float()
    grouped = values.view(x.shape[0], -1, element.block)
    largest = grouped.abs().amax(dim=-1)
    if element.scale == "e8m0":
        scales = e8m0_values(_e8m0_floor(largest, math.floor(math.log2(element.max_value))))
        scaled = grouped / scales[..., None]
    else:
        tensor_scale = nvfp4_tensor_scale(values) if tensor_scale is None else tensor_scale
        relative = (largest / _E2M1_MAX / tensor_scale).clamp(_E4M3_LEAST_NORMAL, _E4M3_MAX)
        scales = relative.to(torch.float8_e4m3fn).float()
        scaled = grouped * ((1.0 / tensor_scale) / scales)[..., None]
    clamped = scaled.clamp(-element.max_value, element.max_value).view(x.shape)
    codes = e2m1_codes(clamped) if element.is_e2m1 else clamped.to(torch.float8_e4m3fn)
    return Blocks(codes, scales, tensor_scale if element.scale == "e4m3" else None)


def nvfp4_tensor_scale(x: torch.Tensor) -> torch.Tensor:
    """The fp32 scale [1] that gives the largest block the largest e4m3 scale; 1 for a tensor of zeros."""
    scale = x.abs().amax().float() / (_E2M1_MAX * _E4M3_MAX)
    return torch.where(scale > 0, scale, torch.ones_like(scale)).reshape(1)


def e2m1_codes(values: torch.Tensor) -> torch.Tensor:
    """fp32 values -> codes 0..15 (uint8): nearest, ties to the even code, saturating at 6; -0 keeps its sign.

    NaN has no code.
    """
    magnitudes = torch.bucketize(values.abs(), _midpoints(values.device), out_int32=True)
    return (magnitudes | torch.signbit(values).int() << 3).to(torch.uint8)


def e2m1_values(codes: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """The values of codes 0..15; every float type holds them exactly."""
    return _levels(codes.device, dtype)[codes.int()]


def e8m0_values(codes: torch.Tensor) -> torch.Tensor:
    """fp32 values 2^(code - 127) of codes 0..255 (uint8); 255 is NaN."""
    exponents = codes.int()
    # 2^-127 is subnormal in fp32: its own bit pattern, where the others are exponents.
    bits = torch.where(exponents == 0, 1 << 22, exponents << 23)
    values = bits.to(torch.int32).view(torch.float32)
    return torch.where(exponents == _E8M0_NAN, torch.nan, values)


def scale_codes(scales: torch.Tensor, element: Element) -> torch.Tensor:
    """Scales by value -> their stored bytes (uint8), for scales that are exactly representable."""
    if element.scale == "e8m0":
        exponents = (scales.view(torch.int32) >> 23) & 0xFF
        return torch.where(torch.isnan(scales), _E8M0_NAN, exponents).to(torch.uint8)
    return scales.to(torch.float8_e4m3fn).view(torch.uint8)


def swizzled(scales: torch.Tensor) -> torch.Tensor:
    """Scales [rows, columns] in the order of the matrix units, padded with zeros, as a flat tensor.

    Tiles of 128 rows x 4 columns follow each other along K; within one, byte 16 (r mod 32) + 4 (r div 32) + c
    is the scale of row r and column c (cuBLAS: layout of the block scaling factors).
    """
    rows, columns = scales.shape
    padding = (0, -columns % SWIZZLED_COLUMNS, 0, -rows % SWIZZLED_ROWS)
    tiles = torch.nn.functional.pad(scales, padding)
    quarters = SWIZZLED_ROWS // _SWIZZLED_LANES
    tiles = tiles.view(-1, quarters, _SWIZZLED_LANES, tiles.shape[1] // SWIZZLED_COLUMNS, SWIZZLED_COLUMNS)
    return tiles.permute(0, 3, 2, 1, 4).flatten()


def unswizzled(flat: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """The inverse: scales [rows, columns] without their padding. ValueError for another number of scales."""
    tiles_down, tiles_across = -(-rows // SWIZZLED_ROWS), -(-columns // SWIZZLED_COLUMNS)
    wanted = tiles_down * tiles_across * SWIZZLED_ROWS * SWIZZLED_COLUMNS
    if flat.numel() != wanted:
        raise ValueError(
            f"{flat.numel()} swizzled scales do not fit {rows} x {columns}, which has {wanted} with padding"
        )
    quarters = SWIZZLED_ROWS // _SWIZZLED_LANES
    tiles = flat.view(tiles_down, tiles_across, _SWIZZLED_LANES, quarters, SWIZZLED_COLUMNS)
    plain = tiles.permute(0, 3, 2, 1, 4).reshape(tiles_down * SWIZZLED_ROWS, -1)
    return plain[:rows, :columns]


def _e8m0_floor(largest: torch.Tensor, exponent_of_max: int) -> torch.Tensor:
    """Codes of 2^(floor(log2 largest) - e); 0, the least, for a block of zeros and below the range."""
    exponents = (largest.view(torch.int32) >> 23) & 0xFF  # a subnormal has 0, as a block of zeros
    return (exponents - exponent_of_max).clamp(min=0).to(torch.uint8)


@lru_cache(maxsize=8)
def _midpoints(device: torch.device) -> torch.Tensor:
    """Upper bounds of the magnitudes' intervals; a tie that belongs to the upper code lies just above it."""
    levels = e2m1_levels()[:8]
    middles = torch.tensor([(low + high) / 2 for low, high in itertools.pairwise(levels)])
    below = torch.nextafter(middles, torch.zeros(()))
    upper_is_even = torch.arange(7) % 2 == 1
    return torch.where(upper_is_even, below, middles).to(device)


@lru_cache(maxsize=16)
def _levels(device: torch.device, dtype: torch.dtype) -> torch.Tensor:
    return torch.tensor(e2m1_levels(), dtype=dtype, device=device)
