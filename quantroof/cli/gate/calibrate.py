"""`quantroof gate calibrate`: A/A runs on this machine, and the slowdowns that a gate can detect here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.gate.options import pairs_option, policy_of, policy_option, times_of
from quantroof.cli.options import FILE, POSITIVE, case_options
from quantroof.cli.output import echo_json, echo_lines, json_option, note
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.gate.calibrate import Calibration
    from quantroof.gate.times import RunTimes
    from quantroof.records.run import RunOptions


_SHORT = "How small a slowdown can be detected here?"


@click.command("calibrate", context_settings={"show_default": True}, short_help=_SHORT)
@click.option("--suite", default="quick", help="quick, node, default, full, or a file of your own.")
@click.option("--device", help="cpu, cuda:1, a UUID, or sim:PROFILE.  [default: the only one]")
@case_options
@click.option("--runs", type=click.IntRange(5), default=8, help="Number of runs of the same code.")
@click.option("--processes", type=click.IntRange(3), default=5, help="Fresh processes per run.")
@click.option("--seconds", "seconds_per_case", type=POSITIVE, help="Longest sampling per kernel and case.")
@click.option("--out", type=FILE, default=Path("runs/calibration"), help="A new folder for the runs.")
@click.option("--baseline", type=FILE, help="Also write what was learned as a baseline.")
@pairs_option
@policy_option
@json_option
def command(
    *,
    out: Path,
    runs: int,
    baseline: Path | None,
    policy: Path | None,
    pairs: int,
    device: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Run the same code several times and print, for each case, the smallest slowdown a gate could detect."""
    from msgspec.structs import replace

    from quantroof.gate import baseline as files
    from quantroof.gate.calibrate import calibrate, require_hope
    from quantroof.records.run import RunOptions

    tolerance = policy_of(policy).environment
    if out.is_dir() and any(out.glob("run-*")):
        raise UsageError("already contains runs", where=str(out), hint="move them, or name another --out")
    run_options = RunOptions(**options, devices=(device,) if device else (), ceilings=False, anchors=True)
    times: list[RunTimes] = []
    for number in range(runs):
        times.append(_collect(out / f"run-{number:02d}", replace(run_options, seed=number)))
        require_hope(times, runs, tolerance)
    calibration = calibrate(times, pairs, tolerance)
    if baseline is not None:
        files.write(calibration.baseline, baseline)
    _print(calibration, as_json=as_json)


def _collect(directory: Path, run_options: RunOptions) -> RunTimes:
    """One A/A run with anchors; each has its own data."""
    from quantroof.bench.run import execute, new_job
    from quantroof.cli.progress import Display
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select
    from quantroof.records.directory import RunWriter
    from quantroof.reports.text.run_lines import duration

    job = new_job(run_options, select(detect(), run_options.devices), ("quantroof", *sys.argv[1:]))
    note(f"{directory}: {duration(job.estimate_s(), simulated=job.info.simulated)}")
    with RunWriter.create(directory, job.info) as writer, Display(job, quiet=True) as display:
        execute(job, writer, display)
    return times_of(directory, None)


def _print(calibration: Calibration, *, as_json: bool) -> None:
    import msgspec

    from quantroof.reports.text.gate_lines import calibration_lines

    if as_json:
        data = msgspec.to_builtins(calibration)
        echo_json("calibration", {**data, "smallest_for_all": calibration.smallest_for_all})
        return
    echo_lines(calibration_lines(calibration))
