"""Tables on a terminal and in a pipe. Cells are literal text: no markup, no control codes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING

from quantroof.units import printable

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

_FREE_COLUMNS = 1 << 20


def literal(value: str, style: str = "") -> Text:
    """Text that neither rich nor the terminal interprets."""
    from rich.text import Text

    return Text(printable(value), style=style)


def table(
    headings: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    right: Collection[str] = (),
) -> Table:
    """A table that folds its cells to the width of the console; columns named in `right` hold numbers."""
    from rich.box import SIMPLE
    from rich.table import Table

    made = Table(box=SIMPLE, pad_edge=False)
    for name in headings:
        made.add_column(literal(name), justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        made.add_row(*map(literal, row))
    return made


def titled(title: str, made: Table) -> Group:
    """A table below its title. A title of rich's own is folded to the width of a narrow table."""
    from rich.console import Group

    return Group(literal(title), made)


def plain(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, right: Collection[str] = ()
) -> list[str]:
    """The lines of a table that never folds: a pipe and a terminal read the same."""
    from io import StringIO

    from rich.console import Console
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in headings:
        made.add_column(literal(name), justify="right" if name in right else "left", no_wrap=True)
    for row in rows:
        made.add_row(*map(literal, row))
    console = Console(file=StringIO(), width=_FREE_COLUMNS, color_system=None, force_terminal=False)
    console.print(made)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return [line.rstrip() for line in text.splitlines()]
