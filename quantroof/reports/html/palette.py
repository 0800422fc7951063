"""Colors of number formats: one hue per family, the same on the light and on the dark page.

Only the lightness differs between the two pages. The colors were searched; `tests/reports/test_palette.py`
holds the rule: CIEDE2000 of at least 25 between any two families under normal, protan and deutan vision
(Machado et al. 2009), never near black on the light page and never near white on the dark one. Formats of one
family differ in the dash of their line, and in hollow marks where activations arrive quantized.
"""

from __future__ import annotations

from typing import Literal

from quantroof.analysis.choice import BASELINE
from quantroof.analysis.winner import can_win
from quantroof.kernels.schemes import SCHEMES

Family = Literal["32-bit", "16-bit", "fp8", "int8", "int4", "fp4"]

LIGHT: dict[Family, str] = {
    "32-bit": "#6c6b6d",
    "16-bit": "#85a6d8",
    "fp8": "#8fc1a6",
    "int8": "#bc6d01",
    "int4": "#80000d",
    "fp4": "#482e79",
}
DARK: dict[Family, str] = {
    "32-bit": "#757476",
    "16-bit": "#74b8fa",
    "fp8": "#97e2c7",
    "int8": "#fba222",
    "int4": "#c42611",
    "fp4": "#8440d1",
}
# What an element or scheme starts with; anything else is 32-bit: fp32, tf32, fp64, a user's function.
_PREFIXES: tuple[tuple[str, Family], ...] = (
    ("bf16", "16-bit"),
    ("fp16", "16-bit"),
    ("fp8", "fp8"),
    ("mxfp8", "fp8"),
    ("int8", "int8"),
    ("int4", "int4"),
    ("nf4", "fp4"),
    ("mxfp4", "fp4"),
    ("nvfp4", "fp4"),
)
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot")


def family(name: str) -> Family:
    """The family of an element, or of a scheme by its weights: `fp8-w8a16` is fp8."""
    return next((own for prefix, own in _PREFIXES if name.startswith(prefix)), "32-bit")


def color(name: str) -> tuple[str, str]:
    """(light, dark) color of an element or scheme."""
    own = family(name)
    return LIGHT[own], DARK[own]


def dash(scheme: str) -> str:
    """plotly's name of a scheme's line: solid for bf16, or the first of its family in the catalog."""
    alike = sorted((name for name in SCHEMES if family(name) == family(scheme)), key=lambda n: n != BASELINE)
    return _DASHES[alike.index(scheme) % len(_DASHES)] if scheme in alike else _DASHES[-1]


def hollow(scheme: str) -> bool:
    """Whether its marks are open: it is shown and cannot win."""
    return not can_win(scheme)


def variables() -> str:
    """CSS variables `--fp8` and the like, for the marks that the page draws without plotly."""
    light, dark = ("".join(f"--{name}: {value}; " for name, value in own.items()) for own in (LIGHT, DARK))
    return f":root {{ {light}}} @media (prefers-color-scheme: dark) {{ :root:not(.print) {{ {dark}}} }}\n"
