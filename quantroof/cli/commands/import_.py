"""`quantroof import`: kernel times that others measured, as a run directory that says so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.groups import SuggestingGroup
from quantroof.cli.options import FILE
from quantroof.cli.output import echo_lines
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.advisor.imports.aic_tables import Table


@click.group("import", cls=SuggestingGroup)
def command() -> None:
    """Import kernel times that others measured.

    The run says `imported` in every output; the gate, fleets, histories and ceilings never read it.

    \b
    quantroof import aiconfigurator --list
    quantroof import aiconfigurator --system h200_sxm --framework trtllm
    quantroof advise --model llama-3.1-70b --run runs/imported-h200_sxm
    """


@command.command(
    "aiconfigurator",
    short_help="Linear layers of aiconfigurator's tables.",
    context_settings={"show_default": True},
)
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
    from quantroof.advisor.imports import aic_tables as tables

    folder = tables.root(checkout)
    found = tables.tables(folder)
    if listed:
        echo_lines(f"{table.system}  {table.framework}  {table.version}" for table in found)
        return ExitCode.OK
    if system is None:
        raise UsageError("no system is named", where="--system", hint="--list prints all")
    picked = tables.pick(found, system, framework, version)
    echo_lines(_import(folder, picked, out or Path("runs") / f"imported-{system}", every=every))
    return ExitCode.OK


def _import(folder: Path, picked: list[Table], out: Path, *, every: bool) -> Iterator[str]:
    """Write the run, and say what was written and what was set aside."""
    from quantroof.advisor.imports import aic_layers, aic_tables, aiconfigurator
    from quantroof.advisor.imports.writing import write_run
    from quantroof.hwprofiles import catalog

    profile, aside = catalog.profiles()[aic_tables.SYSTEMS[picked[0].system]], Counter[str]()
    linear = (row for table in picked for row in aiconfigurator.rows(table, profile, aside, every=every))
    others = (row for table in picked for row in aic_layers.layer_rows(folder, table, aside))
    reduces = [ceiling for table in picked for ceiling in aic_layers.all_reduces(folder, table)]
    written = write_run(out, profile, aic_tables.origin(picked), chain(linear, others), aside, reduces)
    yield from _summary(written, profile.id, out, aside)


@command.command(
    "nccl-tests", short_help="Links of a node, by nccl-tests.", context_settings={"show_default": True}
)
@click.argument("file", type=FILE)
@click.option("--gpu", required=True, help="The profile of the node's GPUs.")
@click.option("--out", type=click.Path(path_type=Path), help="The run directory to write.")
def nccl_tests(*, file: Path, gpu: str, out: Path | None) -> int:
    """Links of this node, from the text of `all_reduce_perf -g N`: rate and latency for `advise --run`."""
    from quantroof.advisor.imports.nccl_tests import read
    from quantroof.advisor.imports.writing import write_run
    from quantroof.files import read_text
    from quantroof.hwprofiles import catalog
    from quantroof.records.run import Imported

    ceilings = read(read_text(file), str(file))
    imported = Imported(
        source="nccl-tests",
        version="not stated",
        license="BSD-3-Clause",
        framework="NCCL",
        rule="all_reduce_perf on this node, out of place, the mean of its iterations",
    )
    target = out or Path("runs") / f"imported-{file.stem}"
    write_run(target, catalog.profile(gpu), imported, (), Counter(), ceilings)
    echo_lines([f"{len(ceilings)} all-reduces of {gpu}, by nccl-tests: {target}"])
    return ExitCode.OK


@command.command(
    "csv", short_help="Linear layers of another tool's CSV file.", context_settings={"show_default": True}
)
@click.argument("file", type=FILE)
@click.option("--columns", type=FILE, required=True, help="A TOML file: which column is what.")
@click.option("--gpu", required=True, help="The profile of the GPU that was timed.")
@click.option("--out", type=click.Path(path_type=Path), help="The run directory to write.")
def csv_file(*, file: Path, columns: Path, gpu: str, out: Path | None) -> int:
    """Linear layers from a CSV file of another tool (docs/advisor.md shows the TOML file)."""
    from quantroof.advisor.imports.columns import read_columns, rows
    from quantroof.advisor.imports.writing import write_run
    from quantroof.hwprofiles import catalog

    named, aside = read_columns(columns), Counter[str]()
    target = out or Path("runs") / f"imported-{file.stem}"
    profile = catalog.profile(gpu)
    written = write_run(target, profile, named.imported, rows(file, named, aside), aside)
    echo_lines(_summary(written, profile.id, target, aside))
    return ExitCode.OK


def _summary(written: int, gpu: str, out: Path, aside: Counter[str]) -> Iterator[str]:
    yield f"{written} kernel times of {gpu}, imported, not measured here: {out}"
    yield from (f"set aside, {count}: {reason}" for reason, count in aside.most_common())
