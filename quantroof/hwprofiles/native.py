"""Formats that an architecture multiplies natively: a table made by reading its machine code.

`native_formats.toml` is written by `scripts/native_formats` and held by a test that assembles every
instruction again. Reading it needs no compiler.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import Literal

import msgspec

from quantroof.files import parse_toml

Support = Literal["native", "emulated", "refused"]

# The architecture a compute capability runs.
_ARCH_OF = {
    "8.0": "sm_80",
    "8.6": "sm_86",
    "8.7": "sm_87",
    "8.9": "sm_89",
    "9.0": "sm_90a",
    "10.0": "sm_100a",
    "10.3": "sm_103a",
    "10.7": "sm_107a",
    "11.0": "sm_110a",
    "12.0": "sm_120a",
    "12.1": "sm_121a",
}
# What AMD's matrix units multiply; no machine code of it is in the table. Sources: instruction set guides of
# AMD Instinct MI300 and CDNA4, "Matrix Arithmetic Instructions". gfx942 has the fnuz variant of fp8, which is
# not fp8_e4m3.
AMD_FORMATS: dict[str, tuple[str, ...]] = {
    "gfx942": ("fp16", "bf16", "tf32", "int8"),
    "gfx950": ("fp16", "bf16", "int8", "fp8_e4m3", "fp8_e5m2", "fp6", "mxfp8", "mxfp4"),
}
_ALIASES = {"fp4": "nvfp4"}  # a vendor's "FP4" is its block-scaled rate


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One format, path and architecture. `evidence` is the opcodes, or why nothing assembled."""

    arch: str
    element: str
    accumulator: str
    path: str
    verdict: Support
    evidence: str


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    compiler: str
    cell: tuple[Cell, ...]


@lru_cache(maxsize=1)
def _file() -> _File:
    text = (files("quantroof.hwprofiles") / "native_formats.toml").read_text(encoding="utf-8")
    return parse_toml(text, _File, "native_formats.toml")


def cells() -> tuple[Cell, ...]:
    """The whole table."""
    return _file().cell


def compiler() -> str:
    """What the machine code was made with."""
    return _file().compiler


def covered() -> tuple[str, ...]:
    """Every compute capability of the table."""
    return tuple(_ARCH_OF)


def architecture_of(compute_capability: str) -> str | None:
    """The architecture in the table that a compute capability runs, or None."""
    return _ARCH_OF.get(compute_capability)


def on(compute_capability: str) -> tuple[Cell, ...]:
    """Every cell of a compute capability; empty if the table does not cover it."""
    arch = architecture_of(compute_capability)
    return tuple(cell for cell in cells() if cell.arch == arch)


def paths_of(element: str, compute_capability: str) -> tuple[Cell, ...]:
    """Every path of a format on a compute capability; empty if the table does not cover it."""
    name = _ALIASES.get(element, element)
    return tuple(cell for cell in on(compute_capability) if cell.element == name)


@lru_cache(maxsize=256)
def overall(element: str, compute_capability: str) -> Support | None:
    """Native if any path is, emulated if one at least assembles, else refused; None if not covered."""
    verdicts = {cell.verdict for cell in paths_of(element, compute_capability)}
    order: tuple[Support, ...] = ("native", "emulated", "refused")
    return next((verdict for verdict in order if verdict in verdicts), None)


def multiplies(element: str, arch: str) -> bool:
    """Whether any path of an architecture multiplies a format natively; False if it is not in the table."""
    if arch in AMD_FORMATS:
        return element in AMD_FORMATS[arch]
    return any(cell.arch == arch and cell.element == element and cell.verdict == "native" for cell in cells())


def only_on_the_older_path(element: str, arch: str) -> bool:
    """True where tcgen05 exists and mma.sync alone multiplies a format natively, as int8 on B300."""
    natives = [cell for cell in cells() if cell.arch == arch and cell.verdict == "native"]
    paths = {cell.path for cell in natives if cell.element == element}
    return paths == {"mma.sync"} and any(cell.path == "tcgen05" for cell in natives)
