"""Failure texts of a load tool, made short enough to show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

_MOST, _LONGEST = 5, 300


def distinct(texts: Iterable[str | None]) -> tuple[str, ...]:
    """The distinct texts, the most frequent first: one line each, a few at most."""
    counted = Counter(" ".join((text or "no reason given").split())[:_LONGEST] for text in texts)
    return tuple(text for text, _ in counted.most_common(_MOST))
