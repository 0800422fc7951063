"""Errors of a format without a model: of a round trip, and of a linear layer's output."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from quantroof.errors import UsageError
from quantroof.kernels.formats import Format
from quantroof.kernels.quantize import quantize
from quantroof.kernels.schemes import SCHEMES, Scheme
from quantroof.quality.lab import codebooks
from quantroof.quality.lab.data import Matrix

# By width; no kernel runs the last two (codebooks.py).
FORMATS = (
    "fp16",
    "bf16",
    "int8.token",
    "int8.channel",
    "int8.tensor",
    "int8.g128",
    "fp8_e4m3.token",
    "fp8_e4m3.tensor",
    "fp8_e5m2.token",
    "int4.channel",
    "int4.g128",
    "int4.g64",
    "int4.g32",
    "int4.g128.zp",
    "int4.g64.zp",
    "nf4.g64",
    "mxfp8.g32",
    "mxfp4.g32",
    "nvfp4.g16",
    *codebooks.BITS,
)


@dataclass(frozen=True, slots=True)
class FormatError:
    """Error of one matrix after a round trip through one format.

    `sqnr_db` is 10 log10 of signal energy over error energy; None for an exact round trip. `worst` is the
    largest error over the matrix's root mean square. `usual_sqnr_db` counts only the columns that are not
    outliers, where a matrix has marked ones: a shared scale harms those.
    """

    format: str
    data: str
    bits_per_element: float
    sqnr_db: float | None
    worst: float
    usual_sqnr_db: float | None = None


@dataclass(frozen=True, slots=True)
class OutputError:
    """Relative Frobenius error of x W^T where both are in a scheme's formats, against fp64."""

    scheme: str
    activations: str
    weights: str
    relative: float


def format_errors(matrices: Sequence[Matrix], names: Sequence[str] = FORMATS) -> list[FormatError]:
    """Every format on every matrix. UsageError for a group that does not divide a matrix's columns."""
    return [_error(name, matrix) for matrix in matrices for name in names]


def round_trip(name: str, x: torch.Tensor) -> tuple[torch.Tensor, float]:
    """x [rows, K] in fp32 after a round trip through a format, and the format's bits per element."""
    if name in codebooks.BITS:
        if x.shape[1] % 64:
            raise UsageError(f"{name} needs columns in multiples of 64, here are {x.shape[1]}")
        return codebooks.rounded(name, x), codebooks.BITS[name]
    fmt = Format.parse(name)
    bits = fmt.bits_per_element(*x.shape)  # refuses a group that does not divide K
    return quantize(x, fmt).dequantized(torch.float32), bits


def output_errors(
    activations: Sequence[Matrix], weights: Matrix, schemes: Sequence[Scheme] | None = None
) -> list[OutputError]:
    """Every scheme with every kind of activations; x [M, K], weights [N, K]."""
    errors = []
    for x in activations:
        exact = x.values.double() @ weights.values.double().T
        for scheme in schemes or SCHEMES.values():
            w_values = quantize(weights.values, scheme.weight).dequantized()
            x_values = quantize(x.values, scheme.activation).dequantized()
            error = (x_values @ w_values.T - exact).norm() / exact.norm()
            errors.append(OutputError(scheme.name, x.name, weights.name, float(error)))
    return errors


def sqnr_db(exact: torch.Tensor, rounded: torch.Tensor) -> float | None:
    """10 log10(sum x^2 / sum (x - x')^2); None if the error is zero."""
    noise = float((exact.double() - rounded.double()).square().sum())
    signal = float(exact.double().square().sum())
    return None if noise == 0 or signal == 0 else 10 * math.log10(signal / noise)


def _error(name: str, matrix: Matrix) -> FormatError:
    x = matrix.values
    rounded, bits = round_trip(name, x)
    rms = float(x.double().square().mean().sqrt()) or 1.0
    usual = None
    if matrix.outliers is not None:
        usual = sqnr_db(x[:, ~matrix.outliers], rounded[:, ~matrix.outliers])
    return FormatError(
        format=name,
        data=matrix.name,
        bits_per_element=bits,
        sqnr_db=sqnr_db(x, rounded),
        worst=float((x - rounded).abs().max()) / rms,
        usual_sqnr_db=usual,
    )
