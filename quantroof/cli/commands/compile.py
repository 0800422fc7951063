"""`quantroof compile`: the machine code of the kernels for any architecture, without a GPU."""

from __future__ import annotations

import click

from quantroof.cli.output import echo_json, echo_rich, json_option, working
from quantroof.errors import EnvironmentMissing, ExitCode, unknown_name
from quantroof.files import require


@click.command(short_help="Machine code of the kernels, for any architecture.")
@click.option("--arch", "archs", multiple=True, help="Such as sm_103a or gfx950; default all. Repeatable.")
@click.option("--kernel", "kernels", multiple=True, help="Only this kernel, as `triton.int4`. Repeatable.")
@click.option("--workers", default=2, show_default=True, type=click.IntRange(1), help="Compile in parallel.")
@json_option
@click.pass_context
def command(
    ctx: click.Context, archs: tuple[str, ...], kernels: tuple[str, ...], workers: int, as_json: bool
) -> None:
    """Compile every kernel ahead of time and read its machine code.

    Shows the matrix instruction beside the declared one, registers, spills, shared memory and, for
    weight-only kernels, instructions per weight. Exit code 1 means that a kernel is not compiled as declared.

    \b
    quantroof compile --arch sm_90a --kernel triton.int4
    """
    version = _triton_version()
    from quantroof.kernels.architectures import ARCHITECTURES
    from quantroof.kernels.sass.table import declared, machine_code_table
    from quantroof.reports.text.machine_code_lines import machine_code_table as table_of_machine_code

    declared_names = [k.name for k in declared()]
    for name in kernels:
        if name not in declared_names:
            raise unknown_name("kernel", name, declared_names, "--kernel")
    with working("compiling: about a minute for all architectures"):
        rows = machine_code_table(archs or ARCHITECTURES, kernels, workers)
    if as_json:
        import msgspec

        compilers = {"triton": version, "nvrtc": _nvrtc_version()}
        echo_json("machine-code", {**compilers, "rows": msgspec.to_builtins(rows)})
    else:
        echo_rich([table_of_machine_code(rows, version)])
    ctx.exit(ExitCode.FINDING if any(row.verdict for row in rows) else ExitCode.OK)


def _triton_version() -> str:
    version: str = require("triton", "compile", "gpu").__version__
    return version


def _nvrtc_version() -> str | None:
    """What compiles CUDA C++; None if it is not installed, and its kernels are skipped."""
    from quantroof.kernels.sass.nvrtc import nvrtc_version

    try:
        return nvrtc_version()
    except EnvironmentMissing:
        return None
