"""`quantroof doctor`: what is here, and is it fit to be measured?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from quantroof.cli.burn_in import BurnInFlags, burn_in, burn_in_options, part_check
from quantroof.cli.options import Finite, as_struct
from quantroof.cli.output import echo_json, echo_rich, json_option
from quantroof.cli.prolog import DEFAULT_LIMIT_S as PROLOG_LIMIT_S
from quantroof.cli.prolog import prolog
from quantroof.cli.self_test import DEFAULT_LIMIT_S, run_self_test
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.fleet.contracts import Contract
    from quantroof.hwprofiles.types import Device
    from quantroof.reports.text.doctor_lines import Diagnosis, Examination


@click.command(short_help="What is here, and is it fit to be measured?")
@click.option("--burn-in", "burning", is_flag=True, help="Load every GPU at once and judge the node.")
@click.option("--links", "linking", is_flag=True, help="Measure and judge the links of the GPUs alone.")
@click.option("--bits", "comparing", is_flag=True, help="Repeat exact products, and compare every bit.")
@click.option("--self-test", "testing", is_flag=True, help="Run every path of the bench once on a device.")
@click.option("--kernel", "kernels", multiple=True, help="With --self-test: also this one, as PATH.py:NAME.")
@click.option("--prolog", "gating", is_flag=True, help="One line within 15 s: may a job start on this node?")
@click.option(
    "--contract",
    type=click.Choice(["exit", "slurm", "nvsentinel", "npd"]),
    default="exit",
    help="Whose exit codes --prolog uses.",
)
@click.option("--time-limit", type=Finite(1), help="Seconds.  [default: --self-test 300, --prolog 15]")
@burn_in_options
@json_option
@as_struct(BurnInFlags)
def command(
    flags: BurnInFlags,
    *,
    burning: bool,
    linking: bool,
    comparing: bool,
    testing: bool,
    kernels: tuple[str, ...],
    gating: bool,
    contract: Contract,
    time_limit: float | None,
    as_json: bool,
) -> int:
    """Look at every device, the driver and the libraries.

    Exit code 1 means that something would spoil a measurement or contradicts the hardware catalog. A machine
    without a GPU is fine: its CPU is measured.

    With --burn-in every GPU is measured under load and called ok, degraded, failed or unknown, by the
    datasheet, its siblings and its own past: exit code 0, 1 (degraded or failed), 3 (no GPU), 4 (unknown).

    With --links copies to and from the host, copies between all pairs of GPUs, and all-reduce, all-gather
    and all-to-all of 1 KB to 4 GB are measured and compared with their rated bandwidth; exit codes as above.

    With --bits the same exact products (int8 and bf16) are repeated for --minutes (1) on all GPUs at once,
    and compared bit by bit on each. One that differs fails the GPU: exit codes as above.

    With --self-test every import, NVML question, kernel, timer and ceiling is tried once on one device
    (--device, --out): a line per failure, whole tracebacks in selftest.jsonl, exit code 1 for a failure.

    With --prolog all GPUs are measured at once for some seconds and judged as in --burn-in. It prints one
    line of at most 80 characters and ends within --time-limit, even if a GPU does not answer; --dry-run
    prints the detectable loss. Exit codes for ok, degraded or failed, unknown by --contract: exit 0, 1, 4;
    slurm 0, 1, 0; nvsentinel and npd 0, 1, 2.
    """
    loading = burning or linking or comparing
    if gating:
        if loading or testing or as_json or kernels or flags.minutes or flags.html:
            raise UsageError("--prolog takes neither of the other modes nor their options", where="doctor")
        return prolog(flags, contract, time_limit or PROLOG_LIMIT_S)
    if contract != "exit":
        raise UsageError("--contract belongs to --prolog", where="doctor")
    if testing:
        if loading or as_json or flags != BurnInFlags(devices=flags.devices, out=flags.out):
            raise UsageError("--self-test takes --device, --out, --kernel and --time-limit", where="doctor")
        return run_self_test(flags.devices, flags.out, kernels, time_limit or DEFAULT_LIMIT_S)
    if kernels or time_limit is not None:
        raise UsageError("--kernel and --time-limit belong to --self-test", where="doctor")
    if linking or comparing:
        return _parts(flags, burning=burning, links=linking, bits=comparing, as_json=as_json)
    if burning:
        return burn_in(flags, as_json=as_json)
    if flags != BurnInFlags():
        what = "--device and what follows it choose a test, and none is named"
        raise UsageError(what, where="doctor", hint="add --burn-in, --links, --bits or --self-test")
    return _look(as_json=as_json)


def _parts(flags: BurnInFlags, *, burning: bool, links: bool, bits: bool, as_json: bool) -> int:
    if burning:
        raise UsageError("--burn-in measures links, and with --minutes bits, too", where="doctor")
    return part_check(flags, links=links, bits=bits, as_json=as_json)


def _look(*, as_json: bool) -> int:
    """Print what is here, without a load."""
    from quantroof.reports.text.doctor_lines import diagnosis_document, diagnosis_lines

    diagnosis = _diagnosis()
    if as_json:
        echo_json("doctor", diagnosis_document(diagnosis))
    else:
        echo_rich(diagnosis_lines(diagnosis))
    if not diagnosis.devices:
        return ExitCode.ENVIRONMENT
    return ExitCode.FINDING if diagnosis.warnings else ExitCode.OK


def _diagnosis() -> Diagnosis:
    from quantroof.bench.provenance import versions
    from quantroof.cli.library_checks import NOTHING_RUNS, library_checks, optional_packages
    from quantroof.cli.machine_check import machine_findings
    from quantroof.hwprofiles.detect import detect
    from quantroof.reports.text.doctor_lines import Diagnosis

    detection, installed = detect(), versions()
    libraries = library_checks(detection, installed)
    measurable = all(check.code != NOTHING_RUNS for check in libraries)
    devices = [_examined(device) for device in detection.devices]
    machine = [*detection.faults, *machine_findings(detection.devices)]
    return Diagnosis(detection, installed, libraries, devices, measurable, machine, optional_packages())


def _examined(device: Device) -> Examination:
    from quantroof.finding import Finding
    from quantroof.hwprofiles.catalog import match
    from quantroof.hwprofiles.checks import cross_check
    from quantroof.hwprofiles.health import health_findings
    from quantroof.hwprofiles.nvml import Board
    from quantroof.reports.text.doctor_lines import Examination

    if device.kind != "cuda":
        return Examination(device, None, [])
    board, profile = Board.of(device), match(device)
    health = None if board is None else board.health()
    checks = []
    if profile is None:
        text = "not in the hardware catalog: roofs come from formulas and measurements"
        checks.append(Finding("note", "unlisted", text, "quantroof hardware derive"))
    if health is not None:
        checks += health_findings(device, health)
    return Examination(device, health, [*checks, *cross_check(device, profile)])
