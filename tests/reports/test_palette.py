"""Colors stay apart for every reader: CIEDE2000 under three kinds of vision, and text contrast."""

from __future__ import annotations

import re
from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from quantroof.kernels.schemes import SCHEMES
from quantroof.reports.html.bundle import asset
from quantroof.reports.html.palette import DARK, LIGHT, Family, color, dash, family, hollow
from tests.reports.color import ciede2000, contrast, lab, linear, seen_by

# Sharma, Wu, Dalal, "The CIEDE2000 color-difference formula", Color Res. Appl. 30(1), 2005, table 1.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
]
THEMES: dict[str, dict[Family, str]] = {"light": LIGHT, "dark": DARK}


@pytest.mark.parametrize(("one", "other", "expected"), SHARMA)
def test_ciede2000_gives_the_published_values(
    one: tuple[float, ...], other: tuple[float, ...], expected: float
) -> None:
    """Our yardstick agrees with the paper's test data to four decimals."""
    assert ciede2000(np.array(one), np.array(other)) == pytest.approx(expected, abs=5e-5)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("vision", ["normal", "protan", "deutan"])
def test_families_are_told_apart(theme: str, vision: str) -> None:
    """Any two families differ by CIEDE2000 >= 25 for every reader."""
    pairs = list(combinations(THEMES[theme].items(), 2))
    close = {
        (a, b): distance for (a, one), (b, other) in pairs if (distance := _distance(one, other, vision)) < 25
    }

    assert len(pairs) == 15
    assert close == {}


@pytest.mark.parametrize(("theme", "ground", "least"), [("light", "#ffffff", 2), ("dark", "#14171c", 3)])
def test_marks_stand_out_from_the_page(theme: str, ground: str, least: float) -> None:
    """No color is black on the light page or white on the dark one; the contrast is 2:1, on dark 3:1."""
    lightness = [float(lab(linear(color))[0]) for color in THEMES[theme].values()]

    assert min(contrast(color, ground) for color in THEMES[theme].values()) >= least
    assert min(lightness) >= 25
    assert max(lightness) <= 85


def test_a_family_has_one_hue_on_both_pages() -> None:
    """Two colleagues with two themes talk about the same colors: hues differ by at most 15 degrees."""
    for name in set(LIGHT) - {"32-bit"}:
        light, dark = (lab(linear(own[name])) for own in (LIGHT, DARK))
        turn = np.degrees(np.arctan2(light[2], light[1]) - np.arctan2(dark[2], dark[1]))

        assert abs((turn + 180) % 360 - 180) <= 15


def _distance(one: str, other: str, vision: str) -> float:
    return float(ciede2000(lab(seen_by(one, vision)), lab(seen_by(other, vision))))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("tf32", "32-bit"), ("bf16", "16-bit"), ("fp8_e4m3", "fp8"), ("fp8-w8a16", "fp8"),
        ("mxfp8-w8a8", "fp8"), ("int8-w8a8-static", "int8"), ("int4-zp-w4a16-g64", "int4"),
        ("nvfp4-w4a4", "fp4"), ("call", "32-bit"),
    ],
)  # fmt: skip
def test_a_format_has_the_color_of_its_weights(name: str, expected: str) -> None:
    """Elements and schemes of one family share its color."""
    assert family(name) == expected
    assert color(name) == (LIGHT[family(name)], DARK[family(name)])


def test_formats_of_one_family_have_lines_of_their_own() -> None:
    """Under one color no two formats that the catalog lists share dash and mark."""
    looks = Counter((family(name), dash(name), hollow(name)) for name in SCHEMES)

    assert [look for look, count in looks.items() if count > 1] == []


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
