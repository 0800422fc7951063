"""`quantroof fleet`: which GPU of many is slow, and runs on the engine a site has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from quantroof.cli.output import echo_json, json_option
from quantroof.errors import ExitCode


class _AnalyseByDefault(click.Group):
    """A group whose first argument is either a subcommand or the first run to analyse."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["analyse", *args]
        return super().parse_args(ctx, args)


@click.group("fleet", cls=_AnalyseByDefault, short_help="Find the slow GPU among many.")
def command() -> None:
    """Judge the GPUs of many runs against each other, their own past and the datasheet.

    \b
    quantroof fleet runs/*                     judge them: the short form of `fleet analyse`
    quantroof fleet part-*.parquet --json      the same from compacted parts
    """


@command.command("analyse", short_help="Judge the GPUs of many runs.")
@click.argument("runs", nargs=-1, required=True)
@click.option("--retest", multiple=True, help="Second measurements of suspects: what they clear is dropped.")
@click.option("--labels", type=click.Path(path_type=Path), help="CSV: node and any attributes to compare.")
@click.option(
    "--floor", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True,
    help="Below this share of the siblings' median speed a GPU is below policy.",
)  # fmt: skip
@click.option(
    "--min-effect", type=click.FloatRange(0, 1, max_open=True), default=0.03, show_default=True,
    help="A slowdown under this is never called a defect.",
)  # fmt: skip
@click.option("--top", type=click.IntRange(1), default=20, show_default=True, help="How many GPUs to print.")
@json_option
def analyse(
    runs: tuple[str, ...],
    retest: tuple[str, ...],
    labels: Path | None,
    top: int,
    as_json: bool,
    **thresholds: float,
) -> int:
    """Judge RUNS: run directories, globs, Parquet parts, or URLs of either (through fsspec).

    Exit code 1 says that a GPU failed, is defective or below policy. What cannot be read is reported on
    stderr, a line each, and the rest is analysed.
    """
    from quantroof.cli.fleet_text import fleet_document, fleet_lines
    from quantroof.fleet.analysis import analyse as judge
    from quantroof.fleet.gather import gather
    from quantroof.fleet.groups import read_labels
    from quantroof.fleet.policy import Policy

    known = read_labels(labels) if labels else None
    second = gather(retest) if retest else None
    found = judge(gather(runs), Policy(**thresholds), known, second)
    for problem in [*found.problems, *(second.problems if second else [])]:
        click.echo(f"warning: {problem}", err=True)
    if as_json:
        echo_json("fleet", fleet_document(found))
    else:
        _print(fleet_lines(found, top))
    return ExitCode.FINDING if found.bad else ExitCode.OK


def _print(lines: Any) -> None:
    for line in lines:
        click.echo(line)
