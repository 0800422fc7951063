"""`quantroof bench`: any function of your own, checked, timed and raced against others."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.call_options import CallFlags, call_of, suite_text
from quantroof.cli.measuring import (
    carry_out,
    conclude,
    device_option,
    measuring_options,
    print_plan,
    selected_devices,
)
from quantroof.cli.options import POSITIVE, as_struct
from quantroof.cli.output import echo_json, echo_lines
from quantroof.errors import ExitCode

if TYPE_CHECKING:
    from quantroof.records.directory import Run


@click.command("bench", short_help="Measure and race a function.", context_settings={"show_default": True})
@click.argument("function", metavar="FILE.py[:NAME]")
@click.option(
    "--shape", multiple=True, help="Shape of each argument in order: 4096x4096; or MxN, with --axis."
)
@click.option(
    "--arg", multiple=True, help="An argument: 'x: bf16[M, N]', 'i: int64[M] = index(N)', 'dim = -1'."
)
@click.option("--axis", multiple=True, help="Sizes of an axis: M=1,16 or M=1:4096:*2.")
@click.option("--dtype", help="Element of --shape, and of the matrix roof.  [default: fp32]")
@click.option("--flops", help="Operations of a call: arithmetic of the axes, such as 2*M*N*K.")
@click.option("--bytes", "bytes_moved", help="Bytes of a call.  [default: every argument and output once]")
@click.option("--reference", help="The function that computes the expected output, as FILE.py:NAME.")
@click.option("--against", multiple=True, help="A function to race: FILE.py:NAME, or torch.NAME.")
@click.option("--tolerance", type=POSITIVE, help="Largest relative error.  [default: by the output's type]")
@click.option("--no-capture", is_flag=True, help="The function cannot be captured in a CUDA graph.")
@device_option
@measuring_options
@as_struct(CallFlags)
def command(
    flags: CallFlags,
    *,
    out: Path | None,
    dry_run: bool,
    anyway: bool,
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> int:
    """Measure a function of your own, and compare it with others and with the roof.

    The function is checked against --reference in fp64, before and after it is timed. Copies of the arguments
    are used in turn, so that they come from memory and not from a cache. What a decorator
    (`quantroof.declare.bench`) or a class in the file states need not be repeated. The run directory works
    with report, show, compare, gate, history and export.

    \b
    quantroof bench mine.py:softmax --shape 4096x4096 --arg dim=-1 --against torch.softmax
    quantroof bench mine.py:add --arg 'x: bf16[M]' --arg 'y: bf16[M]' --axis M=1024:1048576:*4 --flops M
    quantroof bench mine.py                  the only, or the only declared function of the file
    """
    from quantroof.bench.run import new_job
    from quantroof.bench.suite import parse
    from quantroof.records.run import RunOptions

    call = call_of(flags)
    run_options = RunOptions(**options, suite=call.name)
    suite = parse(suite_text(call), call.name)
    job = new_job(run_options, selected_devices(run_options), ("quantroof", *sys.argv[1:]), suite)
    if dry_run:
        return print_plan(job, as_json=as_json)
    directory = carry_out(job, out, anyway=anyway, quiet=quiet)
    if directory is None:
        return ExitCode.INTERRUPTED
    details = partial(_print, str(directory), as_json=as_json)
    return conclude(directory, anyway=anyway, as_json=as_json, details=details)


def _print(directory: str, run: Run, *, as_json: bool) -> None:
    from quantroof.analysis.device_results import device_results
    from quantroof.reports.text.race_lines import race_document, race_lines

    results = device_results([run])
    if as_json:
        echo_json("bench", {"directory": directory, "races": race_document(results)})
    else:
        echo_lines(race_lines(results))
