"""What the quality commands share: tables, progress on stderr, numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from quantroof.reports.text.console import stdout


def say(text: str) -> None:
    """One line of progress on stderr."""
    click.echo(text, err=True)


def print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout: the first column to the left, the others to the right."""
    from rich.box import SIMPLE
    from rich.table import Table
    from rich.text import Text

    # A title of text is not read as markup: it may hold a name from a file.
    table = Table(box=SIMPLE, pad_edge=False, title=Text(title), title_justify="left")
    for index, name in enumerate(header):
        table.add_column(name, justify="left" if index == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    stdout().print(table, markup=False)


def figure(value: float | None, digits: int = 2, *, sign: bool = False) -> str:
    """A number, or a dash for what was not measured."""
    return "-" if value is None else f"{value:{'+' if sign else ''}.{digits}f}"


def both_units(size: float) -> str:
    """Bytes in GB (10^9) and GiB (2^30), both labelled: they differ by 7 %. Small ones in MB and MiB."""
    if size < 1e8:
        return f"{size / 1e6:.3f} MB = {size / 2**20:.3f} MiB"
    return f"{size / 1e9:.3f} GB = {size / 2**30:.3f} GiB"
