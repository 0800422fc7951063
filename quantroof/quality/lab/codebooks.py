"""Four-bit formats that no kernel here has, and the best a four-bit codebook can do: for comparison only.

`e2m1.g64` scales the element of MXFP4 and NVFP4 by an fp32 largest magnitude per 64. `fp4.g64` is FP4 of
bitsandbytes, whose levels are others (its `create_fp4_map`), with the same scale. `lloyd-max.g64` is the
codebook of least squared error for Gaussian blocks of 64.
"""

from __future__ import annotations

from functools import lru_cache

import torch

from quantroof.kernels.formats import e2m1_levels

_E2M1_LEVELS = tuple(sorted(set(e2m1_levels())))
_LARGEST = 6.0
_BITSANDBYTES = (0.0, 1 / 192, 1 / 6, 1 / 4, 1 / 3, 1 / 2, 2 / 3, 1.0)
_TRAINING_BLOCKS = 4096
_ITERATIONS = 60

# Stored bits per weight: four, and each scale's share.
BITS = dict.fromkeys(("e2m1.g64", "fp4.g64", "lloyd-max.g64"), 4 + 32 / 64)


def rounded(name: str, x: torch.Tensor) -> torch.Tensor:
    """x [rows, K] of fp32 after a round trip through one of BITS; K must be a multiple of its block."""
    levels = _levels(name)
    blocks = x.view(x.shape[0], -1, 64)
    scale = _largest(blocks)
    return (_nearest(blocks / scale, levels) * scale).view_as(x)


def _levels(name: str) -> tuple[float, ...]:
    """The levels of a codebook in [-1, 1], ascending."""
    if name == "lloyd-max.g64":
        return lloyd_max_levels()
    if name == "fp4.g64":
        return tuple(sorted({sign * level for level in _BITSANDBYTES for sign in (-1.0, 1.0)}))
    return tuple(v / _LARGEST for v in _E2M1_LEVELS)


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
