"""What a change concerns: as lines, as a table for a pull request, and as data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from quantroof.gate.changed import Selection
from quantroof.records.lines import case_words
from quantroof.reports.text.md import table
from quantroof.reports.text.table import plain

_MOST = 200
_HEADINGS = ("kernel", "case", "arch", "base -> now")


def select_lines(selection: Selection) -> Iterator[str]:
    """The count, then one line per case, kernel and architecture."""
    yield _head(selection)
    rows = [(one.kernel, case_words(one.case), one.arch, _differs(one.differs)) for one in selection.selected]
    if rows:
        yield from plain(_HEADINGS, rows)


def select_markdown(selection: Selection) -> Iterator[str]:
    """The same as a table, cut to what a comment holds."""
    yield _head(selection)
    if not selection.selected:
        return
    shown = selection.selected[:_MOST]
    rows = [(one.kernel, case_words(one.case), one.arch, _differs(one.differs)) for one in shown]
    yield f"\n{table(_HEADINGS, rows)}"
    if (rest := len(selection.selected) - _MOST) > 0:
        yield f"\n... {rest} more"


def select_document(selection: Selection) -> dict[str, Any]:
    """The same as data."""
    data: dict[str, Any] = msgspec.to_builtins(selection)
    return {**data, "lines": selection.lines()}


def _head(selection: Selection) -> str:
    count = len(selection.lines())
    return f"{count} of {selection.planned} cases and kernels differ from {selection.base}"


def _differs(parts: tuple[str, ...]) -> str:
    return "; ".join(parts)
