"""The workspace of split-K launches."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.kernels.program import Program

if TYPE_CHECKING:
    import torch


def workspace(code: Program, device: torch.device, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Partial sums and zeroed counters of one Prepared, which serves one stream at a time."""
    import torch

    tiles_n, split, tiles_m = code.grid
    size = int(code.constants["BN"]) * int(code.constants["BM"]) * split if split > 1 else 0
    partials = torch.empty(max(1, tiles_n * tiles_m * size), dtype=dtype, device=device)
    return partials, torch.zeros(tiles_n * tiles_m, dtype=torch.int32, device=device)
