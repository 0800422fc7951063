"""Four-bit formats that no kernel here has yet, and the best a four-bit codebook can do: for comparison only.

FP4 is E2M1 of the OCP Microscaling Specification 1.0: magnitudes 0, 0.5, 1, 1.5, 2, 3, 4, 6. `fp4.g64` scales
it by an fp32 largest magnitude per 64, MXFP4 by a power of two per 32, NVFP4 by an fp8 scale per 16 and one
fp32 scale per tensor. `lloyd-max.g64` is the codebook of least squared error for Gaussian blocks of 64.
"""

from __future__ import annotations

from functools import lru_cache

import torch

_E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
_E2M1_LEVELS = tuple(sorted({sign * level for level in _E2M1 for sign in (-1.0, 1.0)}))
_LARGEST = 6.0
_E4M3_LARGEST = 448.0
_TRAINING_BLOCKS = 4096
_ITERATIONS = 60

# Stored bits per weight: four, and each scale's share.
BITS = {"fp4.g64": 4 + 32 / 64, "mxfp4": 4 + 8 / 32, "nvfp4": 4 + 8 / 16, "lloyd-max.g64": 4 + 32 / 64}


def rounded(name: str, x: torch.Tensor) -> torch.Tensor:
    """x [rows, K] of fp32 after a round trip through one of BITS; K must be a multiple of its block."""
    if name == "mxfp4":
        blocks = x.view(x.shape[0], -1, 32)
        largest = _largest(blocks)
        # E8M0 scale: 2 to floor(log2 of the largest) minus the exponent of 6, which is 2.
        scale = torch.exp2(torch.floor(torch.log2(largest)) - 2)
        return (_nearest((blocks / scale).clamp(-_LARGEST, _LARGEST), _E2M1_LEVELS) * scale).view_as(x)
    if name == "nvfp4":
        blocks = x.view(x.shape[0], -1, 16)
        whole = x.abs().amax().clamp_min(torch.finfo(torch.float32).tiny) / (_LARGEST * _E4M3_LARGEST)
        scale = (_largest(blocks) / _LARGEST / whole).clamp(max=_E4M3_LARGEST)
        scale = scale.to(torch.float8_e4m3fn).float().clamp_min(2.0**-9) * whole
        return (_nearest((blocks / scale).clamp(-_LARGEST, _LARGEST), _E2M1_LEVELS) * scale).view_as(x)
    levels = lloyd_max_levels() if name == "lloyd-max.g64" else tuple(v / _LARGEST for v in _E2M1_LEVELS)
    blocks = x.view(x.shape[0], -1, 64)
    scale = _largest(blocks)
    return (_nearest(blocks / scale, levels) * scale).view_as(x)


@lru_cache(maxsize=1)
def lloyd_max_levels() -> tuple[float, ...]:
    """16 levels of least squared error for Gaussian blocks of 64 divided by their largest magnitude.

    Lloyd's algorithm on seeded blocks that no comparison uses. An error counts by the square of its block's
    scale, as it does in the tensor.
    """
    generator = torch.Generator().manual_seed(20_231)
    blocks = torch.randn(_TRAINING_BLOCKS, 64, generator=generator)
    scale = _largest(blocks)
    values, weights = (blocks / scale).flatten(), scale.square().expand_as(blocks).flatten()
    levels = torch.linspace(-1, 1, 16)
    for _ in range(_ITERATIONS):
        cells = torch.bucketize(values, (levels[1:] + levels[:-1]) / 2)
        mass = torch.zeros(16).index_add_(0, cells, weights)
        levels = torch.zeros(16).index_add_(0, cells, weights * values) / mass.clamp_min(1e-12)
    return tuple(float(v) for v in levels)


def _largest(blocks: torch.Tensor) -> torch.Tensor:
    """Largest magnitude of each block, 1 for a block of zeros."""
    largest = blocks.abs().amax(dim=-1, keepdim=True)
    return torch.where(largest > 0, largest, torch.ones_like(largest))


def _nearest(values: torch.Tensor, levels: tuple[float, ...]) -> torch.Tensor:
    table = torch.tensor(levels)
    return table[torch.bucketize(values.contiguous(), (table[1:] + table[:-1]) / 2)]
