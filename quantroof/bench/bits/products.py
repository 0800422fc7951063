"""Exact products: operands whose result does not depend on the order of the sums, so that it never changes.

The first result is proved by another way (Freivalds, 1977: C r = A (B r) for a random vector r, in float64
without rounding), and every later one is compared with it bit by bit, on the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch

ProductName = Literal["int8", "bf16"]
Shape = tuple[int, int, int]
"""M, N and K."""
TILE = 128
"""Rows and columns of the tile that a wrong output is named by."""
_TERNARY = (-1.0, 0.0, 0.0, 1.0)
_WEIGHTS = 1 << 10


@dataclass(frozen=True, slots=True)
class Product:
    """A product that is computed by calling it, and its proved result."""

    name: ProductName
    shape: Shape
    compute: Callable[[], torch.Tensor]
    expected: torch.Tensor


class WrongReference(Exception):
    """The first result of a product is wrong already."""


def product(name: ProductName, shape: Shape, seed: int, device: torch.device) -> Product:
    """The operands on the device, and the first result, proved; WrongReference where the proof fails.

    int8 has the whole range of values and sums in int32. bf16 has the values -1, 0 and 1: sums are exact in
    fp32, and at most 256 for these sizes but once in 10^15 outputs, so that bf16 holds them.
    """
    m, n, k = shape
    left, right = (_operand(name, rows, k, seed + place, device) for place, rows in enumerate((m, n)))
    if name == "int8":
        turned = right.t()

        def compute() -> torch.Tensor:
            return torch._int_mm(left, turned)  # noqa: SLF001 - torch's only product of int8

    else:
        turned = right.t()

        def compute() -> torch.Tensor:
            return torch.mm(left, turned)

    expected = compute()
    vector = torch.randint(-_WEIGHTS, _WEIGHTS, (n,), generator=torch.Generator().manual_seed(seed))
    weights = vector.to(device, torch.float64)
    proved = left.double() @ (right.double().t() @ weights)
    if not torch.equal(expected.double() @ weights, proved):
        raise WrongReference(f"{name}: the first product is wrong")
    return Product(name, shape, compute, expected)


def _operand(name: ProductName, rows: int, columns: int, seed: int, device: torch.device) -> torch.Tensor:
    """Values from a seed, the same on every device: they are made on the host."""
    generator = torch.Generator().manual_seed(seed)
    if name == "int8":
        return torch.randint(-128, 128, (rows, columns), generator=generator, dtype=torch.int8).to(device)
    chosen = torch.randint(0, len(_TERNARY), (rows, columns), generator=generator, dtype=torch.int8)
    return torch.tensor(_TERNARY, dtype=torch.bfloat16)[chosen.int()].to(device)


def digest(values: torch.Tensor) -> str:
    """A digest that equal results share on every device."""
    return hashlib.sha256(values.cpu().contiguous().view(torch.uint8).numpy().data).hexdigest()[:16]


def differing(computed: torch.Tensor, expected: torch.Tensor) -> tuple[int, tuple[int, int]] | None:
    """How many outputs differ and which is the first, None if none does; compared on the device, as bits."""
    if torch.equal(_bits(computed), _bits(expected)):
        return None
    wrong = torch.nonzero(_bits(computed) != _bits(expected))
    return len(wrong), (int(wrong[0, 0]), int(wrong[0, 1]))


def _bits(values: torch.Tensor) -> torch.Tensor:
    return values.view(torch.int16 if values.dtype == torch.bfloat16 else torch.int32)
