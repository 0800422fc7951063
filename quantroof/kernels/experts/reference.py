"""The grouped product of experts in plain torch; the reference in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.experts.case import ExpertsCase


def grouped_product(case: ExpertsCase, x: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """y [M, N]: the rows of x [M, K] that are an expert's, times its part of the weights [experts x N, K]."""
    y = x.new_zeros(case.m, case.n)
    start = 0
    for expert, end in enumerate(case.ends):
        if end > start:
            y[start:end] = x[start:end] @ weights[expert * case.n : (expert + 1) * case.n].T
        start = end
    return y
