"""`quantroof gate`: everything in one command, and its parts, one file per subcommand in `cli/gate/`."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.cli.gate import baseline, calibrate, check, demo, init, select
from quantroof.cli.gate.check import Surfaces, surface_options
from quantroof.cli.gate.options import cases_option
from quantroof.cli.gate.own import OwnFlags, run_own
from quantroof.cli.groups import SuggestingGroup
from quantroof.cli.options import FILE, as_struct
from quantroof.cli.output import json_option


@click.group(
    "gate",
    cls=SuggestingGroup,
    short_help="Fail a CI job on a confirmed slowdown, and on nothing else.",
    invoke_without_command=True,
)
@click.option("--policy", type=FILE, default=Path("gate.toml"), help="The policy.  [default: gate.toml]")
@click.option("--device", help="cpu, cuda:1, a UUID, or sim:PROFILE.  [default: the only one]")
@click.option("--base", help="Compare with where HEAD left this branch or revision.")
@click.option("--out", type=FILE, default=Path("runs/gate"), help="Folder of the runs.  [default: runs/gate]")
@cases_option
@surface_options
@json_option
@click.pass_context
@as_struct(Surfaces)
@as_struct(OwnFlags)
def command(flags: OwnFlags, surfaces: Surfaces, context: click.Context, *, as_json: bool) -> int:
    """Compare the speed of the code in this folder with that of unchanged code.

    Without a subcommand: collect baseline runs where there is no baseline, measure this code, check it, and
    measure suspects again, alternating with the base revision. Exit 0 pass, 1 confirmed regression or
    missing case, 2 usage, 3 environment invalid, 4 undecided.

    \b
    quantroof gate demo                              a green, a red and an undecided check, simulated
    quantroof gate init                              write suite, policy and workflow for this repository
    quantroof gate                                   all of it, as gate.toml says
    quantroof gate select --base origin/main         which cases does a change concern? without a GPU
    quantroof gate --cases changed.txt               only those that it wrote with --out
    quantroof gate calibrate --suite quick           how small a slowdown can be detected here?
    quantroof gate baseline update RUN... --out F    learn a baseline from runs
    quantroof gate check RUN --baseline F            judge a run
    """
    if context.invoked_subcommand is not None:
        return 0
    return run_own(flags, surfaces, as_json=as_json)


command.add_command(baseline.command)
command.add_command(calibrate.command)
command.add_command(check.command)
command.add_command(demo.command)
command.add_command(init.command)
command.add_command(select.command)
