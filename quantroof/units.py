"""Numbers as people read them. Values come in base units (ns, bytes, operations/s); None reads as a dash."""

from __future__ import annotations

NONE = "-"
_SI = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_TIMES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))


def significant(value: float, digits: int = 3) -> str:
    """A number with that many significant digits and no exponent: 12.3, 0.0123, 1230."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    magnitude = len(str(int(abs(rounded)))) if abs(rounded) >= 1 else 0
    if magnitude:
        return f"{rounded:,.{max(0, digits - magnitude)}f}".replace(",", "")
    return f"{rounded:.{digits + 8}f}".rstrip("0")


def decimals(value: float | None, digits: int = 2) -> str:
    """A number with that many decimals: `12.30`."""
    return NONE if value is None else f"{value:.{digits}f}"


def si(value: float | None, unit: str, digits: int = 3) -> str:
    """A rate with its SI prefix: `si(4.49e12, "B/s")` is `4.49 TB/s`."""
    if value is None:
        return NONE
    for factor, prefix in _SI:
        if abs(value) >= factor * 0.9995:
            return f"{significant(value / factor, digits)} {prefix}{unit}"
    return f"{significant(value, digits)} {unit}"


def time(nanoseconds: float | None, digits: int = 3) -> str:
    """A duration: `12.3 µs`."""
    if nanoseconds is None:
        return NONE
    for factor, unit in _TIMES:
        if nanoseconds >= factor * 0.9995:
            return f"{significant(nanoseconds / factor, digits)} {unit}"
    return f"{significant(nanoseconds, digits)} ns"


def printable(text: str) -> str:
    """Text without control characters: a terminal obeys those, and a name in a run file could hold some."""
    return "".join(c if c.isprintable() else "�" for c in text)


def percent(fraction: float | None, digits: int = 0) -> str:
    """A share as a percentage: `71 %`."""
    return NONE if fraction is None else f"{fraction * 100:.{digits}f} %"


def change(ratio: float | None) -> str:
    """A ratio as a signed change: 1.178 is `+17.8 %`; what rounds to nothing has no sign."""
    if ratio is None:
        return NONE
    text = f"{(ratio - 1) * 100:+.1f}"
    return f"{text if float(text) else '0.0'} %"


def chance(p: float) -> str:
    """A p value as odds: 2e-5 is `1 in 50,000 by chance`. Below 1e-12 the tail of t is rounding."""
    if p < 1e-12:
        return "less than 1 in 10^12 by chance"
    return f"1 in {float(f'{1 / p:.1g}'):,.0f} by chance"


def size(count: float | None) -> str:
    """A memory size in binary units: `139.8 GiB`."""
    if count is None:
        return NONE
    for factor, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if count >= factor:
            return f"{count / factor:.4g} {unit}"
    return f"{count:.0f} B"


def error(value: float | None) -> str:
    """A relative error: `1.7e-03`."""
    return NONE if value is None else f"{value:.1e}"
