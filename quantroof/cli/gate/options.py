"""What the gate's commands share: options, and the records that they name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import FILE

if TYPE_CHECKING:
    from quantroof.gate.policy import Policy
    from quantroof.gate.times import RunTimes

policy_option = click.option("--policy", type=FILE, help="Thresholds, waivers and floors, as TOML.")
device_option = click.option("--device", help="Which device of the run, where it has several.")
cases_option = click.option(
    "--cases", type=FILE, help="Judge only the cases in this file, one `case [kernel]` per line."
)
pairs_option = click.option(
    "--pairs",
    type=click.IntRange(6, 40),
    default=10,
    show_default=True,
    help="Processes per side of an A/B; undecided cases get twice as many more.",
)


def listed(cases: Path | None) -> frozenset[str]:
    """The lines of a list of cases; none without a list."""
    from quantroof.cli.selection import case_list

    return frozenset(case_list(cases)) if cases is not None else frozenset()


def times_of(run: Path, device: str | None) -> RunTimes:
    """One device of a run directory, as a gate reads it."""
    from quantroof.gate.times import run_times
    from quantroof.records.directory import read_run

    return run_times(read_run(run), device)


def policy_of(path: Path | None, floors: tuple[str, ...] = (), threshold: float | None = None) -> Policy:
    """The policy file overridden by the command line's options."""
    from msgspec.structs import replace

    from quantroof.gate.policy import Policy, parse_floor, read_policy

    policy = read_policy(path) if path is not None else Policy()
    if floors:
        policy = replace(policy, min_roof={**policy.min_roof, **dict(parse_floor(text) for text in floors)})
    return policy if threshold is None else replace(policy, relative=threshold)
