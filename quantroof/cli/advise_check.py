"""`quantroof advise --check`: the advisor's own error, from a file of points to an exit code."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.cli.output import echo_json, echo_lines
from quantroof.errors import ExitCode, UsageError

SHIPPED = "shipped"


def check_points(name: str, run_path: Path | None, *, as_json: bool, markdown: bool) -> int:
    """Print the error table of a file, or of the points of the package where `name` is `shipped`.

    With a run, the points of its GPU are predicted from its times.
    """
    import msgspec

    from quantroof.advisor.check import Checker
    from quantroof.advisor.check_table import check
    from quantroof.advisor.points import read_points, shipped_points
    from quantroof.advisor.sources import machine_and_times
    from quantroof.reports.text.check_lines import check_lines, check_markdown

    points = shipped_points() if name == SHIPPED else read_points(Path(name))
    checker = Checker()
    if run_path is not None:
        machine, table = machine_and_times(None, run_path)
        checker = Checker(machine=machine, table=table)
        points = tuple(point for point in points if point.gpu == machine.id)
        if not points:
            raise UsageError(f"holds no points of {machine.id}", where=name, hint="the run is of this GPU")
    found = check(points, checker)
    if as_json:
        echo_json("check", msgspec.to_builtins(found))
    elif markdown:
        click.echo(check_markdown(found), nl=False)
    else:
        echo_lines(check_lines(found))
    return ExitCode.OK if found.judged else ExitCode.FINDING
