"""Color science for the palette's tests: sRGB to CIELAB, simulated dichromacy, CIEDE2000, WCAG contrast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_XYZ = np.array(  # IEC 61966-2-1, D65
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
# Machado, Oliveira, Fernandes, IEEE TVCG 15(6), 2009: severity 1.0, on linear RGB.
_VISION = {
    "normal": np.eye(3),
    "protan": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deutan": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
}


def linear(color: str) -> Array:
    """`#rrggbb` as linear RGB in [0, 1]."""
    value = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def seen_by(color: str, vision: str) -> Array:
    """Linear RGB as a reader of that vision sees it."""
    return np.clip(_VISION[vision] @ linear(color), 0, 1)


def lab(rgb: Array) -> Array:
    """CIELAB of linear RGB under D65."""
    t = _XYZ @ rgb / _WHITE
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def ciede2000(one: Array, other: Array) -> float:
    """CIEDE2000 of two CIELAB colors (Sharma, Wu, Dalal 2005, equations 2 to 22)."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean_c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(mean_c7 / (mean_c7 + 25.0**7)))
    a1, a2 = (1 + g) * a1, (1 + g) * a2
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dh, h = _hues(h1, h2, grey=c1 * c2 == 0)
    dl, dc, dbig = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(dh / 2))
    lm, cm = (l1 + l2) / 2, (c1 + c2) / 2
    angles = ((1, -30, -0.17), (2, 0, 0.24), (3, 6, 0.32), (4, -63, -0.20))
    t = 1 + sum(weight * np.cos(np.radians(n * h + shift)) for n, shift, weight in angles)
    sl = 1 + 0.015 * (lm - 50) ** 2 / np.sqrt(20 + (lm - 50) ** 2)
    sc, sh = 1 + 0.045 * cm, 1 + 0.015 * cm * t
    rotation = (
        -2 * np.sqrt(cm**7 / (cm**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((h - 275) / 25) ** 2))))
    )
    x, y, z = dl / sl, dc / sc, dbig / sh
    return float(np.sqrt(x * x + y * y + z * z + rotation * y * z))


def _hues(h1: float, h2: float, *, grey: bool) -> tuple[float, float]:
    """Difference and mean of two hue angles in degrees."""
    if grey:
        return 0.0, h1 + h2
    difference = (h2 - h1 + 180) % 360 - 180
    mean = (h1 + h2) / 2
    if abs(h1 - h2) > 180:
        mean = mean + 180 if h1 + h2 < 360 else mean - 180
    return difference, mean


def contrast(one: str, other: str) -> float:
    """WCAG 2 contrast ratio."""
    low, high = sorted(float(_XYZ[1] @ linear(color)) for color in (one, other))
    return (high + 0.05) / (low + 0.05)
