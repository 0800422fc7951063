"""`quantroof gate`: baselines, checks and calibration, one file per subcommand in `cli/gate/`."""

from __future__ import annotations

import click

from quantroof.cli.gate import baseline, calibrate, check


@click.group("gate", short_help="Fail a CI job on a confirmed slowdown, and on nothing else.")
def command() -> None:
    """Learn what unchanged code takes, and judge runs by it.

    \b
    quantroof gate calibrate --suite quick           what could a gate see on this machine?
    quantroof gate baseline update RUN... --out F    learn a baseline from runs
    quantroof gate check RUN --baseline F            judge a run

    Collect runs with `quantroof run --processes 5 --anchors`.
    """


command.add_command(baseline.command)
command.add_command(calibrate.command)
command.add_command(check.command)
