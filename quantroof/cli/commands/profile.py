"""`quantroof profile`: hardware counters beside our timer, for measured cases of a run."""

from __future__ import annotations

import shlex
from dataclasses import asdict
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import Finite
from quantroof.cli.output import echo_json, echo_lines, json_option
from quantroof.errors import EnvironmentMissing, UsageError

if TYPE_CHECKING:
    from quantroof.bench.crosscheck.compare import Agreement
    from quantroof.records.directory import Run
    from quantroof.records.lines import Measurement


@click.command("profile", short_help="Check times with Nsight Compute's counters.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--case", "pattern", default="*", help="Case id, or a shell pattern of ids.")
@click.option("--kernel", default="*", help="Kernel name, or a shell pattern.")
@click.option(
    "--limit", type=click.IntRange(1), default=20, show_default=True, help="At most this many cases."
)
@click.option("--print-only", is_flag=True, help="Print the Nsight Compute lines and run nothing.")
@click.option("--timeline", is_flag=True, help="Kernel times from torch's profiler: needs no counters.")
@click.option("--time-limit", type=Finite(1), default=600, show_default=True, help="Seconds in all.")
@json_option
def command(
    run: Path,
    *,
    pattern: str,
    kernel: str,
    limit: int,
    print_only: bool,
    timeline: bool,
    time_limit: float,
    as_json: bool,
) -> None:
    """Run Nsight Compute on measured cases of RUN and put its time and DRAM bytes beside ours.

    The lines are printed on stderr first, so that they can be run by hand where counters need permission.

    \b
    quantroof profile runs/after --case 'gemv/int4*'
    quantroof profile runs/after --case 'gemv/int4*' --print-only
    """
    from quantroof.bench.crosscheck import ncu
    from quantroof.bench.crosscheck.compare import cross_check, round_robin
    from quantroof.records.directory import read_run
    from quantroof.reports.text.crosscheck_lines import agreement_lines

    record = read_run(run)
    measurements = round_robin(_matching(record, pattern, kernel))[:limit]
    indices = {device.id: device.index for device in record.info.devices}
    for line in measurements:
        text = shlex.join(ncu.command([(line.case, line.kernel)], indices[line.device]))
        click.echo(text, err=not print_only)
    if print_only:
        return
    agreements: list[Agreement] = []
    for device in dict.fromkeys(line.device for line in measurements):
        mine = [line for line in measurements if line.device == device]
        agreements += cross_check(mine, indices[device], timeline=timeline, limit_s=time_limit)
    if not agreements:
        raise EnvironmentMissing("no witness could run any of these cases", hint="each reason stands above")
    if as_json:
        echo_json("profile", {"cases": [asdict(a) for a in agreements]})
    else:
        echo_lines(agreement_lines(agreements))


def _matching(run: Run, pattern: str, kernel: str) -> list[Measurement]:
    if run.info.simulated:
        raise UsageError("a simulated run has no kernels to profile", where=str(run.path))
    on_gpu = {device.id for device in run.info.devices if device.kind == "cuda"}
    if not on_gpu:
        raise EnvironmentMissing("Nsight Compute profiles GPUs, and this run has none", where=str(run.path))
    measurements = [
        m
        for m in run.measurements
        if m.device in on_gpu
        and m.timing is not None
        and m.process == 0
        and fnmatchcase(m.case, pattern)
        and fnmatchcase(m.kernel, kernel)
    ]
    if not measurements:
        raise UsageError(f"no timed case matches '{pattern}' and '{kernel}'", where=str(run.path))
    return measurements
