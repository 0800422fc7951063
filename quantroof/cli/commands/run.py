"""`quantroof run`: measure a suite on every device, into a run directory."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.kernel_reference import absolute
from quantroof.cli.numbers import POSITIVE, SHARE, Finite
from quantroof.cli.output import echo_json, json_option
from quantroof.errors import ExitCode

if TYPE_CHECKING:
    from quantroof.bench.run import Job
    from quantroof.bench.settings import Wishes
    from quantroof.hwprofiles.types import Device
    from quantroof.records.directory import Run


@click.command("run", context_settings={"show_default": True})
@click.option("--suite", default="default", help="quick, node, default, full, or a file of your own.")
@click.option(
    "--device",
    "devices",
    multiple=True,
    help="cpu, cuda, cuda:1, a UUID, all, or sim:PROFILE[*COUNT][+FAULT@INDEX].",
)
@click.option("--format", "formats", multiple=True, help="Only these formats, such as bf16 or int4-w4a16.")
@click.option("--provider", "providers", multiple=True, help="Only kernels of these providers.")
@click.option("--kernel", "kernels", multiple=True, help="A kernel of your own, as PATH.py:NAME.")
@click.option("--out", type=click.Path(path_type=Path), help="Run directory.  [default: runs/run-<id>]")
@click.option(
    "--precision",
    type=SHARE,
    help="Half-width of the 95 % interval to reach.",
)
@click.option("--seconds", type=POSITIVE, help="Sampling limit per kernel and case.")
@click.option(
    "--cache", type=click.Choice(["cold", "hot"]), default="cold", help="Where the weights come from."
)
@click.option(
    "--mode", type=click.Choice(["burst", "sustained"]), default="burst", help="Short, or >= 3 s a case."
)
@click.option("--eager", is_flag=True, help="Time calls with their launches, as without CUDA graphs.")
@click.option(
    "--processes", type=click.IntRange(1), default=1, help="Repeat everything in this many fresh processes."
)
@click.option("--serial", is_flag=True, help="One device after another, where devices share power.")
@click.option("--seed", type=int, default=0, help="Seed of the data.")
@click.option("--case-timeout", type=Finite(1), default=120.0, help="Seconds before a case is killed.")
@click.option("--anchors", is_flag=True, help="Time a library GEMM and a copy in every process: for a gate.")
@click.option("--no-ceilings", is_flag=True, help="Do not measure the device's own ceilings first.")
@click.option("--dry-run", is_flag=True, help="Print what would run and how long, and stop.")
@click.option(
    "--resume",
    type=click.Path(path_type=Path),
    help="Continue this run directory; other options stay as they were.",
)
@click.option("--quiet", is_flag=True, help="No progress.")
@json_option
def command(
    *, resume: Path | None, out: Path | None, dry_run: bool, quiet: bool, as_json: bool, **options: Any
) -> int:
    """Measure a suite on every GPU, or on the CPU where there is none.

    Prints the run directory as its last line. Exit code 1 says that a kernel failed or computed wrongly;
    130 that the run was interrupted, with what was measured saved.

    \b
    quantroof run --suite quick                                two minutes on every device
    quantroof run --device cuda:0 --format int4-w4a16 --format bf16
    quantroof run --device sim:h100-sxm5-80gb                  without a GPU; says SIMULATED
    """
    from quantroof.bench.run import execute, new_job, open_again
    from quantroof.cli.progress import Display
    from quantroof.records.directory import RunWriter, read_run

    signal.signal(signal.SIGTERM, _interrupt)
    if resume is not None:
        job, writer = open_again(resume, _detected())
        directory = resume
    else:
        wishes = _wishes(options)
        job = new_job(wishes, _devices(wishes), ("quantroof", *sys.argv[1:]))
        if dry_run:
            return _print_plan(job, as_json=as_json)
        directory = out or Path("runs") / f"run-{job.info.run_id}"
        writer = RunWriter.create(directory, job.info)
    _announce(job)
    with writer:
        try:
            with Display(job, quiet=quiet) as display:
                execute(job, writer, display)
        except KeyboardInterrupt:
            click.echo(f"interrupted: what was measured is saved; go on with --resume {directory}", err=True)
            return ExitCode.INTERRUPTED
    return _conclude(directory, read_run(directory), as_json=as_json)


def _wishes(options: dict[str, Any]) -> Wishes:
    from quantroof.bench.settings import Wishes

    return Wishes(
        suite=options["suite"],
        devices=options["devices"],
        formats=options["formats"] or None,
        providers=options["providers"] or None,
        precision=options["precision"],
        seconds_per_case=options["seconds"],
        cache=options["cache"],
        mode=options["mode"],
        eager=options["eager"],
        processes=options["processes"],
        serial=options["serial"],
        seed=options["seed"],
        case_timeout_s=options["case_timeout"],
        ceilings=not options["no_ceilings"],
        anchors=options["anchors"],
        kernels=tuple(absolute(reference) for reference in options["kernels"]),
    )


def _detected() -> tuple[Device, ...]:
    from quantroof.hwprofiles.detect import detect

    return detect().devices


def _devices(wishes: Wishes) -> tuple[Device, ...]:
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    return select(detect(), wishes.devices)


def _announce(job: Job) -> None:
    from quantroof.kernels.registry import load
    from quantroof.reports.text.plan_lines import headline

    for plan in job.plans:
        click.echo(headline(plan), err=True)
    reasons = load().broken.values()
    if reasons and any(plan.device.kind != "cpu" for plan in job.plans):
        click.echo(f"kernels left out: {'; '.join(reasons)}", err=True)
    if job.info.simulated:
        click.echo("SIMULATED: no figure of this run was measured on any device", err=True)


def _print_plan(job: Job, *, as_json: bool) -> int:
    from quantroof.reports.text.plan_lines import plan_document, plan_lines

    if as_json:
        echo_json("plan", plan_document(job))
    else:
        for line in plan_lines(job):
            click.echo(line)
    return ExitCode.OK


def _conclude(directory: Path, run: Run, *, as_json: bool) -> int:
    from collections import Counter

    counts = Counter(m.status for m in run.measurements)
    wrong = counts["incorrect"] + counts["failed"]
    click.echo(", ".join(f"{n} {status}" for status, n in sorted(counts.items())), err=True)
    if wrong:
        click.echo(
            f"{wrong} kernels failed or computed wrongly: quantroof show {directory} --failed", err=True
        )
    if as_json:
        echo_json("run", {"directory": str(directory), "run_id": run.info.run_id, "counts": dict(counts)})
    else:
        click.echo(str(directory))
    return ExitCode.FINDING if wrong else ExitCode.OK


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
