"""The expected output of a kernel: fp64 products of its input values, and of the unrounded ones.

Not part of the Problem: `Kernel.build` gets one, and a kernel must not find its answer there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import torch

from quantroof.kernels.attention.case import AttentionCase
from quantroof.kernels.attention.reference import attend
from quantroof.kernels.cases import Case
from quantroof.kernels.experts.case import ExpertsCase
from quantroof.kernels.experts.reference import grouped_product
from quantroof.kernels.problem import Problem, Weights, forget_weights
from quantroof.kernels.quantize import quantize


@dataclass(frozen=True)
class Reference:
    """The expected outputs of one problem, computed when they are first asked for."""

    problem: Problem

    @cached_property
    def exact(self) -> torch.Tensor:
        """The fp64 result [M, N] for the values that a kernel is given."""
        problem = self.problem
        if problem.case.operation == "dequantize":
            return exact_weights(problem.weights)
        if problem.case.operation == "act_quant":
            return quantize(problem.arriving.float(), problem.case.output).dequantized()
        return product(problem.case, problem.activation.dequantized(), exact_weights(problem.weights))

    @cached_property
    def unquantized(self) -> torch.Tensor:
        """The fp64 result [M, N] for the fp32 values before any rounding."""
        x, w = self.problem.source, self.problem.weights.source
        if self.problem.case.operation in ("act_quant", "dequantize"):
            return (w if self.problem.case.operation == "dequantize" else x).double()
        return product(self.problem.case, x.double(), w.double())


def product(case: Case, x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """What a case makes of activations and weights [rows, K], in their precision: [M, N]."""
    if isinstance(case, AttentionCase):
        return attend(case, x, w)
    if isinstance(case, ExpertsCase):
        return grouped_product(case, x, w)
    return x @ w.T


@lru_cache(maxsize=1)  # the kernels of one case share it
def reference_of(problem: Problem) -> Reference:
    """The reference of a problem."""
    return Reference(problem)


@lru_cache(maxsize=1)  # the batches of one layer and format share it
def exact_weights(weights: Weights) -> torch.Tensor:
    """The values of the weights that a kernel is given, in fp64 [rows, K]."""
    return weights.quantized.dequantized()


def forget_data() -> None:
    """Drop cached weights and references: a kernel with wrong results may have written into its operands."""
    forget_weights()
    exact_weights.cache_clear()
    reference_of.cache_clear()
