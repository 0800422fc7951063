"""Exact products: operands whose result does not depend on the order of the sums, so that it never changes.

The first result is proved by another way (Freivalds, 1977: C r = A (B r) for a random vector r, in float64
without rounding), and every later one is compared with it bit by bit, on the device.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch

ProductName = Literal["int8", "bf16", "int8/tiles", "bf16/tiles"]
"""By a library, which every device has, and by our own kernel, which names the SM."""
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
    sms: torch.Tensor | None = None
    """The SM that computed each tile of the latest result; None where the kernel does not report it."""


class WrongReference(Exception):
    """The first result of a product is wrong already."""


def product(name: ProductName, shape: Shape, seed: int, device: torch.device) -> Product:
    """The operands on the device, and the first result, proved; WrongReference if the proof fails.

    int8 has the whole range of values and sums in int32. bf16 has the values -1, 0 and 1: sums are exact in
    fp32, and exceed 256 at these sizes only once in 10^15 outputs, so that bf16 holds them exactly, too.
    """
    m, n, k = shape
    left, right = (_operand(name, rows, k, seed + place, device) for place, rows in enumerate((m, n)))
    compute, sms = (
        _tiles(name, shape, left, right) if name.endswith("/tiles") else (_library(left, right), None)
    )
    expected = compute()
    vector = torch.randint(-_WEIGHTS, _WEIGHTS, (n,), generator=torch.Generator().manual_seed(seed))
    weights = vector.to(device, torch.float64)
    proved = left.double() @ (right.double().t() @ weights)
    if not torch.equal(expected.double() @ weights, proved):
        raise WrongReference(f"{name}: the first product is wrong")
    return Product(name, shape, compute, expected, sms)


def _library(left: torch.Tensor, right: torch.Tensor) -> Callable[[], torch.Tensor]:
    multiply = torch._int_mm if left.dtype == torch.int8 else torch.mm  # noqa: SLF001 - torch's only one of int8
    return partial(multiply, left, right.t())


def _tiles(
    name: ProductName, shape: Shape, left: torch.Tensor, right: torch.Tensor
) -> tuple[Callable[[], torch.Tensor], torch.Tensor]:
    from quantroof.bench.bits.tiles import tile_program

    m, n, _ = shape
    element, on = name.partition("/")[0], left.device
    kind = torch.int32 if element == "int8" else torch.float32
    sms = torch.zeros(m // TILE, n // TILE, dtype=torch.int32, device=on)
    program = tile_program(element, shape, TILE)

    def compute() -> torch.Tensor:
        out = torch.empty(m, n, dtype=kind, device=on)
        program.launch(left, right, out, sms)
        return out

    return compute, sms


def _operand(name: ProductName, rows: int, columns: int, seed: int, device: torch.device) -> torch.Tensor:
    """Values from a seed, the same on every device: they are made on the host."""
    generator = torch.Generator().manual_seed(seed)
    if name.startswith("int8"):
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
