"""`quantroof run`: measure a suite on every device, into a run directory."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.measuring import (
    carry_out,
    conclude,
    device_option,
    measure_into,
    measuring_options,
    print_plan,
    selected_devices,
)
from quantroof.cli.options import FILE, as_struct, case_options
from quantroof.cli.output import note
from quantroof.cli.selection import SelectionFlags, selected_suite, selection_options
from quantroof.errors import ExitCode

if TYPE_CHECKING:
    from quantroof.bench.run import Job
    from quantroof.records.run import RunOptions


@click.command("run", context_settings={"show_default": True})
@click.option("--suite", default="default", help="quick, node, default, full, or a file of your own.")
@device_option
@selection_options
@case_options
@measuring_options
@click.option("--resume", type=FILE, help="Continue this run directory; other options stay as they were.")
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
    from quantroof.records.run import RunOptions

    if resume is not None:
        directory = _continue(resume, quiet=quiet)
    else:
        job = _new_job(RunOptions(**options), flags)
        if dry_run:
            return print_plan(job, as_json=as_json)
        directory = carry_out(job, out, anyway=anyway, quiet=quiet)
    if directory is None:
        return ExitCode.INTERRUPTED
    return conclude(directory, anyway=anyway, as_json=as_json)


def _continue(directory: Path, *, quiet: bool) -> Path | None:
    from quantroof.bench.run import open_again
    from quantroof.hwprofiles.detect import detect
    from quantroof.records.directory import run_file

    directory = run_file(directory).parent  # `latest` is another one once this run is written
    job, writer = open_again(directory, detect().devices)
    return measure_into(job, writer, directory, quiet=quiet)


def _new_job(run_options: RunOptions, flags: SelectionFlags) -> Job:
    from quantroof.bench.run import new_job

    selected = selected_suite(flags, run_options.suite, run_options.formats)
    for remark in selected.remarks:
        note(remark)
    words = ("quantroof", *sys.argv[1:])
    return new_job(run_options, selected_devices(run_options), words, selected.suite)
