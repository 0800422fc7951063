"""`quantroof show`: a run in the terminal."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.cli.newest import or_latest
from quantroof.cli.output import echo_json, json_option
from quantroof.cli.renamed import renamed
from quantroof.reports.text.console import stdout


@click.command(short_help="Summarize a run in the terminal.")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--before", type=click.Path(path_type=Path), help="An older run to compare the first one with.")
@renamed("--baseline", "--before")
@click.option("--failed", is_flag=True, help="Only what was skipped, failed or wrong, with reasons.")
@json_option
def command(runs: tuple[Path, ...], before: Path | None, failed: bool, as_json: bool) -> None:
    """Print the verdicts, the format table and what was not measured; without RUNS, of the newest run.

    \b
    quantroof show                          the newest run in runs/
    quantroof show runs/after --before runs/before
    quantroof show runs/after --failed --json
    """
    from quantroof.analysis.answers import answers
    from quantroof.records.directory import read_run
    from quantroof.reports.text.terminal import show, summary

    conclusions = answers(
        [read_run(run, imported=True) for run in or_latest(runs)], read_run(before) if before else None
    )
    if as_json:
        echo_json("show", summary(conclusions, failed=failed))
    else:
        show(conclusions, stdout(), failed=failed)
