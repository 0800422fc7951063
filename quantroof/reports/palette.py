"""Colours of schemes, searched so that schemes under one roof stay apart for colour-blind readers.

`tests/reports/test_palette.py` holds the rule: CIEDE2000 of at least 25 between schemes that share a roof,
under normal, protan and deutan vision (Machado et al. 2009), on the light and on the dark page.
"""

from __future__ import annotations

from quantroof.kernels.schemes import SCHEMES

LIGHT = {
    "fp32": "#b11f47",
    "tf32": "#001363",
    "fp16": "#6e0237",
    "bf16": "#0072b2",
    "fp8-w8a8": "#000000",
    "fp8-w8a8-static": "#032ebb",
    "int8-w8a8": "#e69f00",
    "int8-w8a8-static": "#b38ccc",
    "int8-w8a16": "#4bb3a1",
    "int4-w4a16": "#d55e00",
}
DARK = {
    "fp32": "#e6b374",
    "tf32": "#73cbf0",
    "fp16": "#be346d",
    "bf16": "#3d9be0",
    "fp8-w8a8": "#ffffff",
    "fp8-w8a8-static": "#b54a48",
    "int8-w8a8": "#eae637",
    "int8-w8a8-static": "#944abc",
    "int8-w8a16": "#89e3c1",
    "int4-w4a16": "#e8702a",
}
_OTHERS = (("#8a8a8a", "#a8a8a8"), ("#6b5b00", "#c9b458"), ("#5b2a86", "#c39be0"))
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "star", "triangle-down", "cross", "hexagon")
"""Marker shapes, one a provider; those that plotly can also draw hollow."""


def colours(schemes: list[str]) -> dict[str, tuple[str, str]]:
    """(light, dark) colour of every scheme; a scheme nobody assigned takes one of a few spare greys."""
    spare = [name for name in schemes if name not in LIGHT]
    given = {name: _OTHERS[rank % len(_OTHERS)] for rank, name in enumerate(spare)}
    return {name: given.get(name) or (LIGHT[name], DARK[name]) for name in schemes}


def ordered(names: set[str]) -> list[str]:
    """Schemes in the order of the catalogue, unknown ones after them by name."""
    ranks = {name: rank for rank, name in enumerate(SCHEMES)}
    return sorted(names, key=lambda name: (ranks.get(name, len(ranks)), name))
