"""`quantroof gate baseline`: learn a baseline file from runs of accepted code."""

from __future__ import annotations

from pathlib import Path

import click

from quantroof.cli.gate.options import (
    device_option,
    pairs_option,
    policy_of,
    policy_option,
    times_of,
)
from quantroof.cli.options import FILE
from quantroof.cli.output import note


@click.group("baseline", short_help="Make baseline files.")
def command() -> None:
    """Baselines: one file per kind of device, kept in the repository and reviewed like code."""


@command.command("update", short_help="Learn a baseline from five or more runs.")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("--out", required=True, type=FILE, help="The file, such as baselines/h100.json.")
@pairs_option
@policy_option
@device_option
def update(runs: tuple[Path, ...], out: Path, pairs: int, policy: Path | None, device: str | None) -> None:
    """Learn from RUNS of accepted code, write the file and print what moved. Invalid runs are refused.

    \b
    quantroof run --suite quick --processes 5 --anchors --seed 1      five times, with seeds 1 to 5
    quantroof gate baseline update runs/run-* --out baselines/h100.json
    """
    from quantroof.errors import EnvironmentMissing
    from quantroof.gate import baseline
    from quantroof.gate.calibrate import calibrate
    from quantroof.gate.learning import left_out
    from quantroof.reports.text.gate_lines import update_lines

    tolerance = policy_of(policy).environment
    old = baseline.read(out) if out.exists() else None
    times = [times_of(run, device) for run in runs]
    calibration = calibrate(times, pairs, tolerance)
    if calibration.invalid:
        reasons = "; ".join(f"{run}: {findings[0].text}" for run, findings in calibration.invalid.items())
        raise EnvironmentMissing(
            f"a baseline cannot be learned from invalid runs: {reasons}", hint="leave them out"
        )
    baseline.write(calibration.baseline, out)
    for line in update_lines(old, calibration.baseline, left_out(times, calibration.baseline)):
        note(line)
    click.echo(str(out))
