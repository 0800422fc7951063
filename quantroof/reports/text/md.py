"""Markdown from values: the one place that escapes text, so that no name from a file becomes markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from quantroof.units import printable

_SPECIAL = "\\`*_{}[]()#+!|~"
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "@": "&#64;"}
_ESCAPES = str.maketrans({**{c: f"\\{c}" for c in _SPECIAL}, **_ENTITIES})


class Markdown(str):
    """Text that is Markdown already: `text` leaves it as it is."""

    __slots__ = ()


def text(value: str) -> Markdown:
    """A value as literal Markdown on one line: nothing in it is markup, a link, HTML or a table border."""
    if isinstance(value, Markdown):
        return value
    return Markdown(printable(" ".join(value.split())).translate(_ESCAPES))


def bold(value: str) -> Markdown:
    """A value in bold."""
    return Markdown(f"**{text(value)}**")


def row(cells: Iterable[str]) -> Markdown:
    """One line of a table."""
    return Markdown(f"| {' | '.join(text(cell) for cell in cells)} |")


def head(cells: Sequence[str]) -> Markdown:
    """The two lines that open a table."""
    return Markdown(f"{row(cells)}\n{'| --- ' * len(cells)}|")


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Markdown:
    """A whole table."""
    return Markdown("\n".join([head(headings), *(row(cells) for cells in rows)]))


def bullets(lines: Iterable[str]) -> Markdown:
    """A list, one item per line."""
    return Markdown("\n".join(f"- {text(line)}" for line in lines))


def code(lines: str) -> Markdown:
    """A block of code. Its fence is longer than any run of backticks inside."""
    longest = max((len(run) for run in re.findall("`+", lines)), default=0)
    fence = "`" * max(3, longest + 1)
    safe = "\n".join(printable(line) for line in lines.splitlines())
    return Markdown(f"{fence}\n{safe}\n{fence}")
