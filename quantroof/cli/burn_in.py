"""`quantroof doctor --burn-in`: a node under load, from options to an exit code."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.numbers import Finite
from quantroof.cli.output import echo_json
from quantroof.errors import EnvironmentMissing, ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.bench.run import Job
    from quantroof.fleet.burn_in import BurnInOptions
    from quantroof.hwprofiles.types import Device

DEFAULT_FOLDER = Path("runs") / "burn-in"

_OPTIONS = (
    click.option("--device", "devices", multiple=True, help="As in `quantroof run`.  [default: all GPUs]"),
    click.option("--out", type=click.Path(path_type=Path), help=f"For its runs. [default: {DEFAULT_FOLDER}]"),
    click.option("--past", multiple=True, help="Earlier runs of this node, beside those in --out."),
    click.option("--reference", multiple=True, help="Runs of sound GPUs of this model, measured alike."),
    click.option("--gpus", "expected", type=click.IntRange(1), help="How many GPUs there should be."),
    click.option("--floor", type=Finite(0, 1, min_open=True, max_open=True), help="As in fleet."),
    click.option("--dry-run", is_flag=True, help="Print how long it takes, and stop."),
    click.option("--quiet", is_flag=True, help="No progress."),
)  # fmt: skip


def burn_in_options(function: Any) -> Any:
    """The options that only --burn-in understands."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def refuse_without_burn_in(options: dict[str, Any]) -> None:
    """UsageError where one of them is given without --burn-in."""
    given = [name for name, value in options.items() if value]
    if given:
        raise UsageError("these options belong to --burn-in", where="doctor", hint="doctor --burn-in ...")


def burn_in(*, as_json: bool, dry_run: bool, quiet: bool, **options: Any) -> int:
    """Measure and judge the node. Exit code 1: degraded or failed; 3: no GPU here; 4: nothing to judge by."""
    from quantroof.fleet.burn_in import BurnIn
    from quantroof.reports.text.burn_in_lines import burn_in_document, burn_in_lines, estimate_line

    signal.signal(signal.SIGTERM, _interrupt)
    order = _order(**options)
    work = BurnIn(order)
    line = estimate_line(len(order.devices), *work.estimate_s())
    click.echo(line, err=not dry_run)
    if dry_run:
        return ExitCode.OK
    if any(device.kind == "sim" for device in order.devices):
        click.echo("SIMULATED: no figure of this burn-in is measured on any device", err=True)
    try:
        outcome = work.run(lambda job, directory: _measure(job, directory, quiet=quiet))
    except KeyboardInterrupt:
        text = f"interrupted: what was measured is saved; judge it with quantroof fleet {order.folder}"
        click.echo(text, err=True)
        return ExitCode.INTERRUPTED
    for problem in outcome.verdict.problems:
        click.echo(f"warning: {problem}", err=True)
    if as_json:
        echo_json("burn-in", burn_in_document(outcome))
    else:
        for line in burn_in_lines(outcome):
            click.echo(line)
    codes = {"healthy": ExitCode.OK, "not judged": ExitCode.UNDECIDED}
    return codes.get(outcome.verdict.verdict, ExitCode.FINDING)


def _order(
    *,
    devices: tuple[str, ...],
    out: Path | None,
    past: tuple[str, ...],
    reference: tuple[str, ...],
    expected: int | None,
    floor: float | None,
) -> BurnInOptions:
    from quantroof.fleet.burn_in import BurnInOptions
    from quantroof.fleet.policy import Policy

    policy = Policy() if floor is None else Policy(floor=floor)
    command = ("quantroof", *sys.argv[1:])
    folder = out or DEFAULT_FOLDER
    return BurnInOptions(_devices(devices), folder, past, reference, policy, expected, command=command)


def _devices(texts: tuple[str, ...]) -> tuple[Device, ...]:
    """The named devices, else every GPU; a CPU is burnt in only where somebody says so."""
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    detection = detect()
    if texts:
        return select(detection, texts)
    if not detection.gpus:
        why = detection.remarks[0] if detection.remarks else "no NVIDIA GPU is here"
        raise EnvironmentMissing(
            why, where="burn-in", hint="--device cpu or sim:PROFILE*8 takes the same path"
        )
    return detection.gpus


def _measure(job: Job, directory: Path, *, quiet: bool) -> None:
    """Run one job into a directory with the progress of `quantroof run`."""
    from quantroof.bench.run import execute
    from quantroof.cli.progress import Display
    from quantroof.records.directory import RunWriter

    with RunWriter.create(directory, job.info) as writer, Display(job, quiet=quiet) as display:
        execute(job, writer, display)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
