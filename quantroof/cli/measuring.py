"""What `quantroof run` and `bench` share: options of a measurement, and a run from job to exit code."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import TYPE_CHECKING

import click

from quantroof.bounds import MAX_TIMEOUT_S
from quantroof.cli.machine_check import machine_check, tolerated
from quantroof.cli.options import FILE, POSITIVE, PROCESSES, SEED, SHARE, Finite, with_options
from quantroof.cli.output import echo_json, echo_lines, json_option, note
from quantroof.errors import ExitCode

if TYPE_CHECKING:
    from quantroof.bench.run import Job
    from quantroof.hwprofiles.types import Device
    from quantroof.records.directory import Run, RunWriter
    from quantroof.records.run import RunOptions

device_option = click.option(
    "--device",
    "devices",
    multiple=True,
    help="cpu, cuda, cuda:1, a UUID, all, or sim:PROFILE[*COUNT][@HOST][+FAULT@INDEX].",
)
measuring_options = with_options(
    click.option("--out", type=FILE, help="Run directory.  [default: runs/run-<id>]"),
    click.option("--precision", type=SHARE, help="Half-width of the 95 % interval to reach."),
    click.option("--seconds", "seconds_per_case", type=POSITIVE, help="Longest sampling of a case."),
    click.option("--cache", type=click.Choice(["cold", "hot"]), default="cold",
                 help="Where the weights come from."),
    click.option("--mode", type=click.Choice(["burst", "sustained"]), default="burst",
                 help="burst: short; sustained: at least 3 s per case."),
    click.option("--eager", is_flag=True, help="Time calls with their launch overhead, without CUDA graphs."),
    click.option("--processes", type=PROCESSES, default=1, help="Repeat everything in this many processes."),
    click.option("--serial", is_flag=True, help="One device after another, for devices that share power."),
    click.option("--seed", type=SEED, default=0, help="Seed of the data."),
    click.option("--case-timeout", "case_timeout_s", type=Finite(1, largest=MAX_TIMEOUT_S), default=120.0,
                 help="Seconds before a case is killed."),
    click.option("--anchors", is_flag=True,
                 help="Time a library GEMM and a copy in every process, for a gate."),
    click.option("--no-ceilings", "ceilings", is_flag=True, flag_value=False, default=True,
                 show_default=False, help="Do not measure the device's own ceilings first."),
    click.option("--dry-run", is_flag=True, help="Print what would run and how long, and stop."),
    click.option("--anyway", is_flag=True, help="Measure a busy machine too: the run is marked, exit 0."),
    click.option("--quiet", is_flag=True, help="No progress."),
    json_option,
)  # fmt: skip
"""How something is measured: named like the fields of RunOptions, and the parameters of `carry_out`."""


def selected_devices(run_options: RunOptions) -> tuple[Device, ...]:
    """The devices that the options name. What is wrong with a GPU that nobody named is a line, too."""
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    detection = detect()
    for fault in () if run_options.devices else detection.faults:
        note(f"warning: {fault.text} ({fault.hint})")
    return select(detection, run_options.devices)


def carry_out(job: Job, out: Path | None, *, anyway: bool, quiet: bool) -> Path | None:
    """Look at the machine, measure a new job into a directory, and return it; None if it was interrupted."""
    from quantroof.records.directory import RunWriter

    machine_check(job.info.devices, anyway=anyway)
    directory = out or Path("runs") / f"run-{job.info.run_id}"
    return measure_into(job, RunWriter.create(directory, job.info), directory, quiet=quiet)


def measure_into(job: Job, writer: RunWriter, directory: Path, *, quiet: bool) -> Path | None:
    """Measure a job, whose file is open, and return the directory; None if it was interrupted."""
    from quantroof.bench.run import execute
    from quantroof.cli.progress import Display
    from quantroof.reports.text.run_lines import minutes

    signal.signal(signal.SIGTERM, _interrupt)
    _announce(job)
    started = monotonic()
    with writer:
        try:
            with Display(job, quiet=quiet) as display:
                execute(job, writer, display)
        except KeyboardInterrupt:
            note(f"interrupted: what was measured is saved; continue with quantroof run --resume {directory}")
            return None
    note(f"measured in {minutes(monotonic() - started)}")
    return directory


def print_plan(job: Job, *, as_json: bool) -> int:
    """What would run and how long, without running it."""
    from quantroof.reports.text.run_lines import plan_document, plan_lines

    if as_json:
        echo_json("plan", plan_document(job))
    else:
        echo_lines(plan_lines(job))
    return ExitCode.OK


def conclude(
    directory: Path, *, anyway: bool, as_json: bool, details: Callable[[Run], None] | None = None
) -> int:
    """Print the directory and the verdict of a run, and return its exit code.

    `details` prints what else the command has to say on standard output, before the directory.
    """
    from collections import Counter

    from quantroof.analysis.run_verdict import run_trust, run_verdict
    from quantroof.records.directory import read_run
    from quantroof.reports.text.run_lines import counts_line, run_document, verdict_line

    run = read_run(directory)
    counts = Counter(m.status for m in run.measurements)
    verdict, trust = run_verdict(run), run_trust(run)
    note(counts_line(counts))
    if counts["incorrect"] + counts["failed"]:
        note(f"{verdict.reason}: quantroof show {directory} --failed")
    if details is not None:
        details(run)
    elif as_json:
        echo_json("run", run_document(str(directory), run, verdict, trust))
    if not as_json:
        click.echo(str(directory))
    note(verdict_line(verdict, trust))
    if verdict.state == "unknown" and tolerated(anyway=anyway):
        return ExitCode.OK
    return verdict.exit_code


def _announce(job: Job) -> None:
    from quantroof.kernels.registry import load
    from quantroof.reports.text.run_lines import headlines

    for line in headlines(job):
        note(line)
    reasons = load().broken.values()
    if reasons and any(plan.device.processor == "gpu" for plan in job.plans):
        note(f"kernels left out: {'; '.join(reasons)}")
    if job.info.simulated:
        note("SIMULATED: no figure of this run was measured on any device")


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
