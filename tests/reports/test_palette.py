"""Colors stay apart for every reader: CIEDE2000 under three kinds of vision, and text contrast."""

from __future__ import annotations

import re
from itertools import combinations

import numpy as np
import pytest

from quantroof.kernels.schemes import SCHEMES
from quantroof.reports.html.bundle import asset
from quantroof.reports.html.palette import DARK, LIGHT, colors, family
from tests.reports.color import ciede2000, contrast, lab, seen_by

# Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula", Color Res. Appl. 30(1), 2005, table 1.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
]
THEMES = {"light": LIGHT, "dark": DARK}


@pytest.mark.parametrize(("one", "other", "expected"), SHARMA)
def test_ciede2000_gives_the_published_values(
    one: tuple[float, ...], other: tuple[float, ...], expected: float
) -> None:
    """Our yardstick agrees with the paper's test data to four decimals."""
    assert ciede2000(np.array(one), np.array(other)) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", ["normal", "protan", "deutan"])
def test_formats_under_one_roof_are_told_apart(theme: str, vision: str) -> None:
    """Schemes of different number formats that share a matrix roof differ by CIEDE2000 >= 25."""
    own = THEMES[theme]
    pairs = [
        (a, b)
        for a, b in combinations(SCHEMES.values(), 2)
        if a.compute == b.compute and family(a.name) != family(b.name)
    ]
    close = {
        (a.name, b.name): distance
        for a, b in pairs
        if (distance := _distance(own[family(a.name)], own[family(b.name)], vision)) < 25
    }

    assert len(pairs) > 8
    assert close == {}


@pytest.mark.parametrize("theme", THEMES)
def test_any_two_formats_differ(theme: str) -> None:
    """No two colors of a page come nearer than CIEDE2000 10, whatever roof they belong to."""
    least = min(
        _distance(a, b, vision)
        for a, b in combinations(THEMES[theme].values(), 2)
        for vision in ("normal", "protan", "deutan")
    )

    assert least >= 10


@pytest.mark.parametrize(("theme", "ground"), [("light", "#ffffff"), ("dark", "#14171c")])
def test_marks_stand_out_from_the_page(theme: str, ground: str) -> None:
    """The faintest mark has a contrast of 2:1 with its ground; shape and outline carry the rest."""
    assert min(contrast(color, ground) for color in THEMES[theme].values()) >= 2


def _distance(one: str, other: str, vision: str) -> float:
    return float(ciede2000(lab(seen_by(one, vision)), lab(seen_by(other, vision))))


def test_every_scheme_has_a_color_and_variants_share_their_formats() -> None:
    """A scheme nobody colored would be gray by accident; int4 with zero points is int4."""
    assert {family(name) for name in SCHEMES} <= set(LIGHT)
    assert set(LIGHT) == set(DARK)
    given = colors(["int4-w4a16", "int4-w4a16-g64", "int4-zp-w4a16", "someday"])
    assert given["int4-w4a16"] == given["int4-w4a16-g64"] == given["int4-zp-w4a16"] != given["someday"]


def _variables() -> list[dict[str, str]]:
    """The color variables of the light and of the dark page."""
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", asset("style.css"))
    return [dict(re.findall(r"--([a-z]+): (#[0-9a-f]{6})", block)) for block in blocks]


@pytest.mark.parametrize("name", ["ink", "muted", "bad", "good", "unsure", "accent"])
def test_text_contrast_is_at_least_four_and_a_half(name: str) -> None:
    """Every text color on the page's ground and on its panels, light and dark (WCAG 2.2, AA)."""
    themes = _variables()
    assert len(themes) == 2
    for theme in themes:
        for ground in ("ground", "panel"):
            assert contrast(theme[name], theme[ground]) >= 4.5
