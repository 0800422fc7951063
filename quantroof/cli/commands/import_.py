"""`quantroof import`: kernel times that others measured, as a run directory that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import FILE
from quantroof.cli.output import echo_lines
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.advisor.imports.aiconfigurator import Table


@click.group("import")
def command() -> None:
    """Import kernel times that others measured.

    The run says `imported` in every output; the gate, fleets, histories and ceilings never read it.

    \b
    quantroof import aiconfigurator --list
    quantroof import aiconfigurator --system h200_sxm --framework trtllm
    quantroof advise --model llama-3.1-70b --run runs/imported-h200_sxm
    """


@command.command("aiconfigurator", context_settings={"show_default": True})
@click.option("--system", help="A system of the tables, such as h200_sxm.")
@click.option("--framework", help="trtllm, sglang or vllm.  [default: the newest version of each]")
@click.option("--version", help="A version of the framework.  [default: the newest]")
@click.option("--from", "checkout", type=FILE, help="A checkout.  [default: the installed package]")
@click.option("--out", type=click.Path(path_type=Path), help="The run directory to write.")
@click.option("--every", is_flag=True, help="All batches and sizes, not 19 batches of layers from 512 on.")
@click.option("--list", "listed", is_flag=True, help="Print which tables there are.")
def aiconfigurator(
    *,
    system: str | None,
    framework: str | None,
    version: str | None,
    checkout: Path | None,
    out: Path | None,
    every: bool,
    listed: bool,
) -> int:
    """Linear layers from the tables of aiconfigurator-core or a checkout of aiconfigurator."""
    from quantroof.advisor.imports import aiconfigurator as source

    found = source.tables(source.root(checkout))
    if listed:
        echo_lines(f"{table.system}  {table.framework}  {table.version}" for table in found)
        return ExitCode.OK
    if system is None:
        raise UsageError("no system is named", where="--system", hint="--list prints all")
    picked = source.pick(found, system, framework, version)
    echo_lines(_import(picked, out or Path("runs") / f"imported-{system}", every=every))
    return ExitCode.OK


def _import(picked: list[Table], out: Path, *, every: bool) -> Iterator[str]:
    """Write the run, and say what was written and what was set aside."""
    from quantroof.advisor.imports import aiconfigurator as source
    from quantroof.advisor.imports.writing import write_run
    from quantroof.hwprofiles import catalog

    profile, aside = catalog.profiles()[source.SYSTEMS[picked[0].system]], Counter[str]()
    rows = (row for table in picked for row in source.rows(table, profile, aside, every=every))
    written = write_run(out, profile, source.origin(picked), rows, aside)
    yield f"{written} kernel times of {profile.id}, imported, not measured here: {out}"
    yield from (f"set aside, {count}: {reason}" for reason, count in aside.most_common())
