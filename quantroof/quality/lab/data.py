"""Matrices to quantize: three seeded distributions, or the weights of a checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from quantroof.errors import UsageError, unknown_name
from quantroof.quality.environment import load

DISTRIBUTIONS = ("gaussian", "student-t5", "outlier-channels")
OUTLIER_FACTOR = 60.0  # activations of large models have channels 10 to 100 times the usual (LLM.int8())
_OUTLIER_SHARE = 256  # one channel in this many
_MOST_ELEMENTS = 2**22
_FLOATS = ("F64", "F32", "F16", "BF16")  # dtypes as safetensors writes them


@dataclass(frozen=True, slots=True)
class Matrix:
    """fp32 values [rows, K] with a name. `outliers` marks the columns that were made large, if any were."""

    name: str
    values: torch.Tensor
    outliers: torch.Tensor | None = None


def synthetic(name: str, rows: int = 256, columns: int = 2048, seed: int = 0) -> Matrix:
    """One of DISTRIBUTIONS, the same on every machine for a seed.

    `student-t5` has five degrees of freedom: heavy tails. `outlier-channels` is Gaussian with one column in
    256 multiplied by 60, as activations look (a row is a token).
    """
    if name not in DISTRIBUTIONS:
        raise unknown_name("distribution", name, list(DISTRIBUTIONS))
    generator = torch.Generator().manual_seed(seed)
    normal = torch.randn(rows, columns, generator=generator)
    if name == "gaussian":
        return Matrix(name, normal)
    if name == "student-t5":
        squares = torch.zeros(rows, columns)
        for _ in range(5):
            squares += torch.randn(rows, columns, generator=generator).square()
        return Matrix(name, normal / (squares / 5).sqrt())
    large = torch.zeros(columns, dtype=torch.bool)
    large[torch.randperm(columns, generator=generator)[: max(1, columns // _OUTLIER_SHARE)]] = True
    normal[:, large] *= OUTLIER_FACTOR
    return Matrix(name, normal, large)


def checkpoint_matrices(directory: Path, limit: int) -> list[Matrix]:
    """The `limit` largest floating-point matrices of a checkpoint's safetensors files, in fp32.

    Of a matrix above 2^22 elements every n-th row is taken: its error is a mean over rows. Raises UsageError
    where there is no such file or matrix, or a file is broken.
    """
    safetensors = load("safetensors")
    files = sorted(directory.glob("*.safetensors")) if directory.is_dir() else [directory]
    if not files:
        raise UsageError("no *.safetensors here", where=str(directory), hint="give a checkpoint's directory")
    sizes: list[tuple[int, str, Path]] = []
    read: list[Matrix] = []
    for file in files:
        try:
            with safetensors.safe_open(file, framework="pt") as tensors:
                sizes += [(_elements(tensors.get_slice(name)), name, file) for name in tensors.keys()]  # noqa: SIM118
        except (safetensors.SafetensorError, OSError) as error:
            raise UsageError(f"is not a whole safetensors file: {error}", where=str(file)) from None
    for size, name, file in sorted(sizes, key=lambda s: (-s[0], s[1]))[:limit]:
        if size:
            with safetensors.safe_open(file, framework="pt") as tensors:
                values = tensors.get_slice(name)[:: math.ceil(size / _MOST_ELEMENTS)]
                read.append(Matrix(name, values.float()))
    if not read:
        raise UsageError("no floating-point matrix here", where=str(directory))
    return read


def _elements(tensor: Any) -> int:
    """Elements of a floating-point matrix; 0 for anything else. `tensor` is a slice of safetensors."""
    shape = tensor.get_shape()
    return shape[0] * shape[1] if len(shape) == 2 and tensor.get_dtype() in _FLOATS else 0
