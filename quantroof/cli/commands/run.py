"""`quantroof run`: measure a suite on every device, into a run directory."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.options import COUNT, FILE, POSITIVE, SHARE, Finite, as_struct, case_options
from quantroof.cli.output import echo_json, echo_lines, json_option, note
from quantroof.cli.selection import SelectionFlags, selected_suite, selection_options
from quantroof.errors import ExitCode

if TYPE_CHECKING:
    from quantroof.bench.run import Job
    from quantroof.hwprofiles.types import Device
    from quantroof.records.directory import Run
    from quantroof.records.run import RunOptions


@click.command("run", context_settings={"show_default": True})
@click.option("--suite", default="default", help="quick, node, default, full, or a file of your own.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="cpu, cuda, cuda:1, a UUID, all, or sim:PROFILE[*COUNT][+FAULT@INDEX].",
)
@selection_options
@case_options
@click.option("--out", type=FILE, help="Run directory.  [default: runs/run-<id>]")
@click.option("--precision", type=SHARE, help="Half-width of the 95 % interval to reach.")
@click.option("--seconds", "seconds_per_case", type=POSITIVE, help="Sampling limit per kernel and case.")
@click.option(
    "--cache", type=click.Choice(["cold", "hot"]), default="cold", help="Where the weights come from."
)
@click.option(
    "--mode",
    type=click.Choice(["burst", "sustained"]),
    default="burst",
    help="Short, or at least 3 s per case.",
)
@click.option("--eager", is_flag=True, help="Time calls with their launch overhead, without CUDA graphs.")
@click.option("--processes", type=COUNT, default=1, help="Repeat everything in this many fresh processes.")
@click.option("--serial", is_flag=True, help="One device after another, for devices that share power.")
@click.option("--seed", type=int, default=0, help="Seed of the data.")
@click.option(
    "--case-timeout", "case_timeout_s", type=Finite(1), default=120.0, help="Seconds before a case is killed."
)
@click.option("--anchors", is_flag=True, help="Time a library GEMM and a copy in every process, for a gate.")
@click.option(
    "--no-ceilings",
    "ceilings",
    is_flag=True,
    flag_value=False,
    default=True,
    show_default=False,
    help="Do not measure the device's own ceilings first.",
)
@click.option("--dry-run", is_flag=True, help="Print what would run and how long, and stop.")
@click.option("--resume", type=FILE, help="Continue this run directory; other options stay as they were.")
@click.option("--anyway", is_flag=True, help="Measure a busy machine too: the run is marked, and exits 0.")
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
@as_struct(SelectionFlags)
def command(
    flags: SelectionFlags,
    *,
    resume: Path | None,
    out: Path | None,
    dry_run: bool,
    anyway: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Measure a suite on every GPU, or on the CPU where there is none.

    Prints the run directory as its last line. A machine that is too busy for usable figures is refused (exit
    code 3) without --anyway; where CI is set, it is measured and marked. Exit code 1 means that a kernel
    failed or computed a wrong result, or that a device is degraded; 4 that the run may not be used; 130 that
    it was interrupted, with everything measured so far saved.

    \b
    quantroof run --suite quick                                under a minute per device
    quantroof run --device cuda:0 --format int4-w4a16 --format bf16
    quantroof run --shape 4096x4096 --m 1,16 --format bf16     one layer, two batches, without a file
    quantroof run --model llama-3.1-70b --m 1,64               the layers of a model
    quantroof run --case gemm/bf16-bf16-bf16/m16-n4096-k4096   one case of a report once more
    quantroof run --device sim:h100-sxm5-80gb                  without a GPU, marked SIMULATED
    """
    from quantroof.bench.run import execute, open_again
    from quantroof.cli.machine_check import machine_check, tolerated
    from quantroof.cli.progress import Display
    from quantroof.records.directory import RunWriter, read_run
    from quantroof.records.run import RunOptions

    signal.signal(signal.SIGTERM, _interrupt)
    if resume is not None:
        job, writer = open_again(resume, _detected())
        directory = resume
    else:
        run_options = RunOptions(**options)
        job = _new_job(run_options, flags)
        if dry_run:
            return _print_plan(job, as_json=as_json)
        machine_check(job.info.devices, anyway=anyway)
        directory = out or Path("runs") / f"run-{job.info.run_id}"
        writer = RunWriter.create(directory, job.info)
    _announce(job)
    with writer:
        try:
            with Display(job, quiet=quiet) as display:
                execute(job, writer, display)
        except KeyboardInterrupt:
            note(f"interrupted: what was measured is saved; continue with --resume {directory}")
            return ExitCode.INTERRUPTED
    return _conclude(directory, read_run(directory), accepted=tolerated(anyway=anyway), as_json=as_json)


def _new_job(run_options: RunOptions, flags: SelectionFlags) -> Job:
    from quantroof.bench.run import new_job

    selected = selected_suite(flags, run_options.suite, run_options.formats)
    for remark in selected.remarks:
        note(remark)
    words = ("quantroof", *sys.argv[1:])
    return new_job(run_options, _devices(run_options), words, selected.suite)


def _detected() -> tuple[Device, ...]:
    from quantroof.hwprofiles.detect import detect

    return detect().devices


def _devices(run_options: RunOptions) -> tuple[Device, ...]:
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    return select(detect(), run_options.devices)


def _announce(job: Job) -> None:
    from quantroof.kernels.registry import load
    from quantroof.reports.text.run_lines import headline

    for plan in job.plans:
        note(headline(plan))
    reasons = load().broken.values()
    if reasons and any(plan.device.processor == "gpu" for plan in job.plans):
        note(f"kernels left out: {'; '.join(reasons)}")
    if job.info.simulated:
        note("SIMULATED: no figure of this run was measured on any device")


def _print_plan(job: Job, *, as_json: bool) -> int:
    from quantroof.reports.text.run_lines import plan_document, plan_lines

    if as_json:
        echo_json("plan", plan_document(job))
    else:
        echo_lines(plan_lines(job))
    return ExitCode.OK


def _conclude(directory: Path, run: Run, *, accepted: bool, as_json: bool) -> int:
    from collections import Counter

    from quantroof.analysis.run_verdict import run_trust, run_verdict
    from quantroof.reports.text.run_lines import counts_line, run_document, verdict_line

    counts = Counter(m.status for m in run.measurements)
    verdict, trust = run_verdict(run), run_trust(run)
    note(counts_line(counts))
    if counts["incorrect"] + counts["failed"]:
        note(f"{verdict.reason}: quantroof show {directory} --failed")
    if as_json:
        echo_json("run", run_document(str(directory), run, verdict, trust))
    else:
        click.echo(str(directory))
    note(verdict_line(verdict, trust))
    if verdict.state == "unknown" and accepted:
        return ExitCode.OK
    return verdict.exit_code


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
