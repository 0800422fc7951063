"""`quantroof gate calibrate`: A/A runs on this machine, and the slowdowns that a gate could see here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.gate.options import PathType, pairs_option, policy_of, policy_option, times_of
from quantroof.cli.kernel_reference import absolute
from quantroof.cli.numbers import POSITIVE
from quantroof.cli.output import echo_json, json_option
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.gate.calibrate import Calibration
    from quantroof.gate.times import RunTimes


@click.command("calibrate", context_settings={"show_default": True}, short_help="What could a gate see here?")
@click.option("--suite", default="quick", help="quick, node, default, full, or a file of your own.")
@click.option("--device", help="cpu, cuda:1, a UUID, or sim:PROFILE.  [default: the only one]")
@click.option("--format", "formats", multiple=True, help="Only these formats.")
@click.option("--provider", "providers", multiple=True, help="Only kernels of these providers.")
@click.option("--kernel", "kernels", multiple=True, help="A kernel of your own, as PATH.py:NAME.")
@click.option("--runs", type=click.IntRange(5), default=8, help="How many runs of the same code.")
@click.option("--processes", type=click.IntRange(3), default=5, help="Fresh processes a run.")
@click.option("--seconds", type=POSITIVE, help="Sampling limit a kernel and case.")
@click.option("--out", type=PathType, default=Path("runs/calibration"), help="A new folder for the runs.")
@click.option("--baseline", type=PathType, help="Also write what was learned as a baseline.")
@pairs_option
@policy_option
@json_option
def command(
    *, out: Path, runs: int, baseline: Path | None, policy: Path | None, as_json: bool, **options: Any
) -> None:
    """Run one and the same code again and again, and print the slowdown that a gate could see, by case."""
    from quantroof.gate import baseline as files
    from quantroof.gate.calibrate import calibrate

    tolerance = policy_of(policy).environment
    if out.is_dir() and any(out.glob("run-*")):
        raise UsageError(
            "there are runs here already", where=str(out), hint="move them, or name another --out"
        )
    times = [_collect(out / f"run-{number:02d}", number, options) for number in range(runs)]
    found = calibrate(times, options["pairs"], tolerance)
    if baseline is not None:
        files.write(found.baseline, baseline)
    _print(found, as_json=as_json)


def _collect(directory: Path, seed: int, options: dict[str, Any]) -> RunTimes:
    """One A/A run with anchors; each has its own data."""
    from quantroof.bench.run import execute, new_job
    from quantroof.bench.settings import Wishes
    from quantroof.cli.progress import Display
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select
    from quantroof.records.directory import RunWriter

    wishes = Wishes(
        suite=options["suite"],
        devices=(options["device"],) if options["device"] else (),
        formats=options["formats"] or None,
        providers=options["providers"] or None,
        seconds_per_case=options["seconds"],
        processes=options["processes"],
        seed=seed,
        ceilings=False,
        anchors=True,
        kernels=tuple(absolute(reference) for reference in options["kernels"]),
    )
    job = new_job(wishes, select(detect(), wishes.devices), ("quantroof", *sys.argv[1:]))
    click.echo(f"{directory}: about {job.estimate_s() / 60:.1f} min", err=True)
    with RunWriter.create(directory, job.info) as writer, Display(job, quiet=True) as display:
        execute(job, writer, display)
    return times_of(directory, None)


def _print(found: Calibration, *, as_json: bool) -> None:
    import msgspec

    from quantroof.reports.text.gate_lines import calibration_lines

    if as_json:
        data = msgspec.to_builtins(found)
        echo_json("calibration", {**data, "smallest_for_all": found.smallest_for_all})
        return
    for line in calibration_lines(found):
        click.echo(line)
