"""Axes of a call: `M=1:4096:*2` as the sizes that a function is measured at."""

from __future__ import annotations

import re

from quantroof.errors import UsageError

_AXIS = re.compile(r"([A-Za-z][A-Za-z0-9_]{0,15})=(.+)")
_RANGE = re.compile(r"(\d{1,12}):(\d{1,12})(?::([*+]?)(\d{1,12}))?")
_MOST = 4096
_HINT = "M=16, M=1,16,256, M=16:64:+16 or M=1:4096:*2"


def parse_axis(text: str) -> tuple[str, tuple[int, ...]]:
    """Name and sizes of an axis; UsageError for anything else."""
    match = _AXIS.fullmatch(text.replace(" ", ""))
    if match is None:
        raise UsageError(f"'{text}' is not an axis", hint=_HINT)
    return match[1], sizes(match[2], f"axis {match[1]}")


def sizes(text: str, where: str) -> tuple[int, ...]:
    """The sizes of a list or of a range, whose end is included; UsageError for anything else."""
    span = _RANGE.fullmatch(text)
    if span is None:
        parts = text.split(",")
        if not all(re.fullmatch(r"\d{1,12}", part) for part in parts):
            raise UsageError(f"'{text}' is not a list of sizes", where=where, hint=_HINT)
        values = tuple(map(int, parts))
    else:
        values = _range(int(span[1]), int(span[2]), span[3] or "+", int(span[4] or 1), where)
    if not values or min(values) < 1:
        raise UsageError(f"'{text}' has no sizes from 1 on", where=where, hint=_HINT)
    return tuple(dict.fromkeys(values))


def _range(first: int, last: int, step: str, by: int, where: str) -> tuple[int, ...]:
    if by < (2 if step == "*" else 1) or first < 1:
        raise UsageError(f"the range never reaches {last}", where=where, hint=_HINT)
    values = []
    while first <= last:
        values.append(first)
        if len(values) > _MOST:
            raise UsageError(f"more than {_MOST} sizes", where=where)
        first = first * by if step == "*" else first + by
    return tuple(values)
