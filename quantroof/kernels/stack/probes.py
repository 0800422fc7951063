"""What `quantroof stack` compiles: formats x tiles, the architectures, and what their silicon multiplies.

No import of Triton: the device code is bound in `compile.py`, which runs in a process of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantroof.hwprofiles import native

Family = Literal["16-bit", "fp8", "fp4", "int8"]
"""What one matrix instruction multiplies; fp8 stands for every 8-bit float and its mixtures with fp4."""


@dataclass(frozen=True, slots=True)
class Operand:
    """One side of a product: name for `tl.dot_scaled`, Triton type, elements per byte, type of its scales."""

    name: str
    type: str
    per_byte: int = 1
    scale: str | None = None


@dataclass(frozen=True, slots=True)
class StackFormat:
    """One product. `element` is the entry of the silicon table that multiplies it, None where none can.

    `block` counts the elements that share a scale; None for an unscaled product by `tl.dot`.
    """

    name: str
    activations: Operand
    weights: Operand
    family: Family
    element: str | None
    block: int | None = None

    @property
    def integer(self) -> bool:
        """True for products that accumulate in int32."""
        return self.family == "int8"


@dataclass(frozen=True, slots=True)
class Tile:
    """Rows x columns of one program's product. `weights_first` has the weights as rows: y^T = w x^T."""

    rows: int
    columns: int
    weights_first: bool = False

    @property
    def batch(self) -> int:
        """How many rows of activations the tile takes."""
        return self.columns if self.weights_first else self.rows

    def __str__(self) -> str:
        return f"{self.rows}x{self.columns}{' (weights as rows)' if self.weights_first else ''}"


_BF16 = Operand("bf16", "*bf16")
_FP8 = Operand("e4m3", "*fp8e4nv")
_MXFP8 = Operand("e4m3", "*fp8e4nv", 1, "*u8")
_MXFP4 = Operand("e2m1", "*u8", 2, "*u8")
_NVFP4 = Operand("e2m1", "*u8", 2, "*fp8e4nv")
_INT8 = Operand("int8", "*i8")

FORMATS = (
    StackFormat("bf16", _BF16, _BF16, "16-bit", "bf16"),
    StackFormat("fp8-w8a8", _FP8, _FP8, "fp8", "fp8_e4m3"),
    StackFormat("int8-w8a8", _INT8, _INT8, "int8", "int8"),
    StackFormat("mxfp8-w8a8", _MXFP8, _MXFP8, "fp8", "mxfp8", 32),
    StackFormat("mxfp4-w4a4", _MXFP4, _MXFP4, "fp4", "mxfp4", 32),
    StackFormat("nvfp4-w4a4", _NVFP4, _NVFP4, "fp4", "nvfp4", 16),
    # kind::mxf8f6f4 takes any two of its formats (PTX ISA 9.1, "mma with block scaling").
    StackFormat("mxfp4-w4a8", _MXFP8, _MXFP4, "fp8", "mxfp8", 32),
    StackFormat("mxfp4-w4a16", _BF16, _MXFP4, "16-bit", None, 32),
    StackFormat("nvfp4-w4a16", _BF16, _NVFP4, "16-bit", None, 16),
)
BY_NAME = {item.name: item for item in FORMATS}

TILES = (Tile(16, 128), Tile(64, 128), Tile(128, 128), Tile(128, 16, weights_first=True))


def silicon_multiplies(item: StackFormat, arch: str) -> bool:
    """Whether the matrix units of an architecture multiply a format as it is."""
    return item.element is not None and native.multiplies(item.element, arch)


def tiles_of(item: StackFormat, arch: str) -> tuple[Tile, ...]:
    """The tiles worth compiling: two show the emulation where the silicon lacks the format."""
    return TILES if silicon_multiplies(item, arch) else (TILES[0], TILES[2])
