"""quantroof report: one HTML file (or a Markdown summary) of one or several runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import click

from quantroof.errors import EnvironmentMissing

if TYPE_CHECKING:
    from quantroof.reports.page import Reader

_READERS = ("health", "formats", "ci")


@click.command(short_help="Write one HTML file of a run, or of several.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--baseline", type=click.Path(path_type=Path), help="An older run to compare the first one with."
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="The file; report.html in the first run's directory."
)
def command(runs: tuple[Path, ...], baseline: Path | None, out: Path | None) -> None:
    """Write one self-contained HTML file that opens from disk without a network."""
    from quantroof.records.directory import read_run
    from quantroof.reports.page import answers, html

    given = answers([read_run(run) for run in runs], read_run(baseline) if baseline else None)
    target = out or given.runs[0].path.parent / "report.html"
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html(given), encoding="utf-8")
    except OSError as error:
        raise EnvironmentMissing(f"cannot be written: {error.strerror}", where=str(target)) from None
    click.echo(str(target))
