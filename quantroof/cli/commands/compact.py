"""`quantroof compact`: runs and parts as one Parquet file."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.errors import UsageError


@click.command(short_help="Write runs and Parquet parts as one Parquet file.")
@click.argument("runs", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The Parquet file to write.")
def command(runs: tuple[str, ...], out: Path) -> None:
    """Compact RUNS (run directories, globs, Parquet parts, URLs) into one file for `quantroof fleet`.

    A node turns its run into one Parquet file; the central machine joins the files of all nodes. A row that
    several inputs hold is written once. Unreadable input is reported on stderr. Prints the path.

    \b
    quantroof compact 'sweep/run-*' --out sweep.parquet
    """
    from quantroof.fleet.compact import compact

    if out.is_dir():
        raise UsageError("is a directory", where=str(out), hint="name the file to write")
    for problem in compact(runs, out):
        click.echo(f"warning: {problem}", err=True)
    click.echo(str(out))
