"""Colors of number formats, searched so that formats under one roof stay apart for color-blind readers.

`tests/reports/test_palette.py` holds the rule: CIEDE2000 of at least 25 between formats that share a roof,
under normal, protan and deutan vision (Machado et al. 2009), on the light and on the dark page.
"""

from __future__ import annotations

import re

LIGHT = {
    "fp32": "#a18d65",
    "tf32": "#bc98f9",
    "fp16": "#932f11",
    "bf16": "#0072b2",
    "fp8-w8a8": "#000000",
    "fp8-w8a8-static": "#90ba9e",
    "fp8-w8a16": "#54c2be",
    "int8-w8a8": "#e69f00",
    "int8-w8a8-static": "#463d7a",
    "int8-w8a16": "#551302",
    "int4-w4a16": "#d55e00",
    "nf4-w4a16": "#000134",
    "int4-w4a8": "#2e02e7",
    "mxfp4-w4a8": "#428c8f",
    "mxfp4-w4a4": "#614949",
}
DARK = {
    "fp32": "#abd4f2",
    "tf32": "#d2a09c",
    "fp16": "#7058d2",
    "bf16": "#3d9be0",
    "fp8-w8a8": "#ffffff",
    "fp8-w8a8-static": "#538b91",
    "fp8-w8a16": "#932b2c",
    "int8-w8a8": "#cfef54",
    "int8-w8a8-static": "#3f6e5d",
    "int8-w8a16": "#e9f5c8",
    "int4-w4a16": "#e8702a",
    "nf4-w4a16": "#604c6e",
    "int4-w4a8": "#c63c14",
    "mxfp4-w4a8": "#69946d",
    "mxfp4-w4a4": "#a2c974",
}
_OTHERS = (("#8a8a8a", "#a8a8a8"), ("#6b5b00", "#c9b458"), ("#5b2a86", "#c39be0"))
# One number format with another scale scheme: the same color, a dot in the mark, a dashed path.
_VARIANT_OF = {
    "int4-zp-w4a16": "int4-w4a16",
    "int4-actorder-w4a16": "int4-w4a16",
    "int4-dequant": "int4-w4a16",
    "nf4-dequant": "nf4-w4a16",
    "int8-dequant": "int8-w8a16",
    "int8-quant": "int8-w8a8",
    "fp8-quant": "fp8-w8a8",
    "fp8-block-w8a8": "fp8-w8a8",
    "fp8-block-w8a8-static": "fp8-w8a8-static",
    "mxfp8-w8a8": "fp8-w8a8",
    "nvfp4-w4a4": "mxfp4-w4a4",
    # Three sets of 4-bit levels over bf16 products: no seventh color keeps its distance under that roof.
    "mxfp4-w4a16": "nf4-w4a16",
    "nvfp4-w4a16": "nf4-w4a16",
}
_GROUP = re.compile(r"-g\d+$")
SYMBOLS = ("circle", "diamond", "square", "triangle-up", "x", "star", "triangle-down", "cross", "hexagon")
"""Marker shapes, one per provider; plotly can draw each hollow and with a dot."""


def family(scheme: str) -> str:
    """The scheme whose color this one has: group sizes, zero points and conversions are variants."""
    base = _GROUP.sub("", scheme)
    return _VARIANT_OF.get(base, base)


def colors(schemes: list[str]) -> dict[str, tuple[str, str]]:
    """(light, dark) color of every scheme; a family without its own color takes one of a few spare ones."""
    spare = [name for name in dict.fromkeys(map(family, schemes)) if name not in LIGHT]
    spares = {name: _OTHERS[rank % len(_OTHERS)] for rank, name in enumerate(spare)}
    return {name: spares.get(family(name)) or (LIGHT[family(name)], DARK[family(name)]) for name in schemes}
