"""`quantroof doctor --burn-in`: a node under load, from options to an exit code."""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.machine_check import require_torch
from quantroof.cli.options import COUNT, FILE, OPEN_SHARE, Finite, with_options
from quantroof.cli.output import echo_json, echo_lines, note
from quantroof.cli.renamed import renamed
from quantroof.errors import EnvironmentMissing, ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.bench.run import Job
    from quantroof.fleet.burn_in import BurnInOptions, BurnInResult
    from quantroof.hwprofiles.types import Device

DEFAULT_FOLDER = Path("runs") / "burn-in"


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnInFlags:
    """The options that only --burn-in understands."""

    devices: tuple[str, ...] = ()
    out: Path | None = None
    past: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    expected: int | None = None
    floor: float | None = None
    minutes: float | None = None
    html: Path | None = None
    dry_run: bool = False
    quiet: bool = False


burn_in_options = with_options(
    click.option("--device", "devices", multiple=True,
                 help="cpu, cuda:1, a UUID, or sim:PROFILE[*COUNT][@HOST][+FAULT@INDEX].  [default: GPUs]"),
    click.option("--out", type=FILE, help="Folder for its runs.  [default: runs/burn-in or runs/self-test]"),
    click.option("--past", multiple=True, help="Earlier runs of this node, beside those in --out."),
    click.option("--reference", multiple=True, help="Runs of healthy GPUs of this model, measured alike."),
    click.option("--expect-gpus", "expected", type=COUNT, help="How many GPUs the node should have."),
    renamed("--gpus", "--expect-gpus"),
    click.option("--floor", type=OPEN_SHARE,
                 help="A GPU below this share of its siblings' median is degraded.  [default: 0.95]"),
    click.option("--minutes", type=Finite(0, min_open=True), help="Length of --burn-in, or of --bits (1)."),
    click.option("--html", type=FILE, help="Also write the node's page."),
    click.option("--dry-run", is_flag=True, help="Print how long it would take, and stop."),
    click.option("--quiet", is_flag=True, help="No progress."),
)  # fmt: skip


def burn_in(flags: BurnInFlags, *, as_json: bool) -> int:
    """Measure and judge the node. Exit code 1: degraded or failed; 3: no GPU here; 4: nothing to judge by."""
    from quantroof.fleet.burn_in import BurnIn
    from quantroof.reports.text.burn_in_lines import estimate_line

    signal.signal(signal.SIGTERM, _interrupt)
    order = _order(flags)
    work = BurnIn(order)
    simulated = any(device.kind == "sim" for device in order.devices)
    line = estimate_line(len(order.devices), *work.estimate_s(), simulated=simulated)
    click.echo(line, err=not flags.dry_run)
    if flags.dry_run:
        return ExitCode.OK
    require_torch(order.devices)
    if simulated:
        note("SIMULATED: no figure of this burn-in is measured on any device")
    try:
        outcome = work.run(lambda job, directory: measured(job, directory, quiet=flags.quiet))
    except KeyboardInterrupt:
        text = f"interrupted: what was measured is saved; judge it with quantroof fleet {order.folder}"
        note(text)
        return ExitCode.INTERRUPTED
    return _shown(outcome, flags.html, as_json=as_json)


def part_check(flags: BurnInFlags, *, links: bool, bits: bool, as_json: bool) -> int:
    """Measure and judge links or exact products alone, or both. Exit codes as for a burn-in."""
    from quantroof.bench.links.bus import FULL
    from quantroof.fleet.part_check import PartCheck

    alone = BurnInFlags(
        devices=flags.devices, out=flags.out, expected=flags.expected, html=flags.html, quiet=flags.quiet,
        minutes=flags.minutes if bits else None,
    )  # fmt: skip
    if flags != alone:
        options = "--device, --out, --expect-gpus, --html, --quiet and --json"
        takes = f"--links and --bits take {options} alone; --bits also --minutes"
        raise UsageError(takes, where="doctor", hint="--burn-in measures the links, too")
    signal.signal(signal.SIGTERM, _interrupt)
    order = _order(flags)
    if any(device.kind == "sim" for device in order.devices):
        note("SIMULATED: nothing of this check is measured on any device")
    require_torch(order.devices)
    seconds = (flags.minutes or 1.0) * 60 if bits else None
    check = PartCheck(order, FULL if links else None, seconds)
    outcome = check.run(lambda job, directory: measured(job, directory, quiet=flags.quiet))
    return _shown(outcome, flags.html, as_json=as_json)


def _shown(outcome: BurnInResult, page: Path | None, *, as_json: bool) -> int:
    from quantroof.reports.text.burn_in_lines import burn_in_document, burn_in_lines

    for problem in outcome.node.problems:
        note(f"warning: {problem}")
    if page is not None:
        _write_page(page, outcome)
    if as_json:
        echo_json("burn-in", burn_in_document(outcome))
    else:
        echo_lines(burn_in_lines(outcome))
    return outcome.node.verdict.exit_code


def _write_page(target: Path, outcome: BurnInResult) -> None:
    from quantroof.files import write_to
    from quantroof.reports.html.node_page import node_html

    page = node_html(outcome)
    write_to(target, lambda file: file.write_text(page, encoding="utf-8"))


def _order(flags: BurnInFlags) -> BurnInOptions:
    from quantroof.fleet.burn_in import BurnInOptions
    from quantroof.fleet.policy import Policy

    policy = Policy() if flags.floor is None else Policy(floor=flags.floor)
    command = ("quantroof", *sys.argv[1:])
    devices, expected = selected_devices(flags)
    folder = flags.out or DEFAULT_FOLDER
    return BurnInOptions(
        devices,
        folder,
        flags.past,
        flags.reference,
        policy,
        expected,
        minutes=flags.minutes,
        command=command,
    )


def selected_devices(flags: BurnInFlags) -> tuple[tuple[Device, ...], int | None]:
    """The named devices, else every GPU, and how many GPUs are expected; a CPU only where it is named.

    A GPU that the driver lists and that does not answer is expected, too.
    """
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    detection = detect()
    if flags.devices:
        return select(detection, flags.devices), flags.expected
    if not detection.gpus:
        why = detection.remarks[0] if detection.remarks else "no NVIDIA GPU was found"
        hint = "without a GPU: --device cpu, or --device 'sim:h100-sxm5-80gb*8'"
        raise EnvironmentMissing(why, where="doctor", hint=hint)
    lost = sum(fault.code == "gpu_lost" for fault in detection.faults)
    listed = len(detection.gpus) + lost if lost else None
    return detection.gpus, listed if flags.expected is None else flags.expected


def measured(job: Job, directory: Path, *, quiet: bool) -> None:
    """Run one job into a directory with the progress of `quantroof run`."""
    from quantroof.bench.run import execute
    from quantroof.cli.progress import Display
    from quantroof.records.directory import RunWriter

    with RunWriter.create(directory, job.info) as writer, Display(job, quiet=quiet) as display:
        execute(job, writer, display)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
