"""`quantroof advise --check`: the advisor's own error, from a file of points to an exit code."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.cli.output import echo_json, echo_lines
from quantroof.errors import ExitCode

SHIPPED = "shipped"


def check_points(name: str, *, as_json: bool, markdown: bool) -> int:
    """Print the error table of a file, or of the points of the package where `name` is `shipped`."""
    import msgspec

    from quantroof.advisor.check_table import check
    from quantroof.advisor.points import read_points, shipped_points
    from quantroof.reports.text.check_lines import check_lines, check_markdown

    points = shipped_points() if name == SHIPPED else read_points(Path(name))
    found = check(points)
    if as_json:
        echo_json("check", msgspec.to_builtins(found))
    elif markdown:
        click.echo(check_markdown(found), nl=False)
    else:
        echo_lines(check_lines(found))
    return ExitCode.OK if found.judged else ExitCode.FINDING
