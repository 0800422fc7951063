"""`quantroof import`: kernel times that others measured, as a run directory labeled `imported`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
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
    from quantroof.advisor.imports.files import Source


@click.group("import", cls=SuggestingGroup)
def command() -> None:
    """Import kernel times that others measured.

    The run is labeled `imported` in every output; the gate, fleets, histories and ceilings never read it.

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
@click.option("--every", is_flag=True, help="All batches and sizes, not 19 batches and layers from 512 on.")
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
    all_tables = tables.tables(folder)
    if listed:
        echo_lines(f"{table.system}  {table.framework}  {table.version}" for table in all_tables)
        return ExitCode.OK
    if system is None:
        raise UsageError("no system is named", where="--system", hint="--list prints all")
    selection = tables.pick(all_tables, system, framework, version)
    echo_lines(_import(folder, selection, out or Path("runs") / f"imported-{system}", every=every))
    return ExitCode.OK


def _import(folder: Path, picked: list[Table], out: Path, *, every: bool) -> Iterator[str]:
    """Write the run; returns lines on what was written and what was left out."""
    from quantroof.advisor.imports import aic_layers, aic_tables, aiconfigurator
    from quantroof.advisor.imports.writing import write_run
    from quantroof.hwprofiles import catalog

    profile, aside = catalog.profiles()[aic_tables.SYSTEMS[picked[0].system]], Counter[str]()
    linear = (row for table in picked for row in aiconfigurator.rows(table, profile, aside, every=every))
    others = (row for table in picked for row in aic_layers.layer_rows(folder, table, aside))
    reduces = [ceiling for table in picked for ceiling in aic_layers.all_reduces(folder, table)]
    written = write_run(out, profile, aic_tables.origin(picked), chain(linear, others), aside, reduces)
    yield from _summary(written, profile.id, out, aside)


def _file_options(function: Callable[..., int]) -> Callable[..., int]:
    """A file of another tool, the GPU that it was taken on, and the run to write."""
    for option in (
        click.option("--out", type=click.Path(path_type=Path), help="The run directory to write."),
        click.option("--gpu", required=True, help="The profile of the GPU that was measured."),
        click.argument("file", type=FILE),
    ):
        function = option(function)
    return function


_columns = click.option("--columns", type=FILE, required=True, help="A TOML file: which column is what.")


@command.command("nccl-tests", short_help="Links of a node, by nccl-tests.")
@_file_options
def nccl_tests(*, file: Path, gpu: str, out: Path | None) -> int:
    """Links of this node, from the text of `all_reduce_perf -g N`: rate and latency for `advise --run`."""
    from quantroof.advisor.imports.files import from_nccl_tests

    return _write(from_nccl_tests(file), file, gpu, out, Counter())


@command.command("nvbandwidth", short_help="Links of a node, by nvbandwidth.")
@_file_options
def nvbandwidth(*, file: Path, gpu: str, out: Path | None) -> int:
    """Links of this node, from `nvbandwidth -j`: the slowest copy between GPUs for `advise --run`."""
    from quantroof.advisor.imports.files import from_nvbandwidth

    return _write(from_nvbandwidth(file), file, gpu, out, Counter())


@command.command("mamf-finder", short_help="Matrix rates of a GPU, by mamf-finder.")
@_file_options
def mamf_finder(*, file: Path, gpu: str, out: Path | None) -> int:
    """Matrix rates of this node, from the log of mamf-finder: every shape, and the best one as a ceiling."""
    from quantroof.advisor.imports.files import from_mamf_finder

    return _write(from_mamf_finder(file), file, gpu, out, Counter())


@command.command("csv", short_help="Linear layers of another tool's CSV file.")
@_columns
@_file_options
def csv_file(*, file: Path, columns: Path, gpu: str, out: Path | None) -> int:
    """Linear layers from a CSV file of another tool (docs/advisor.md shows the TOML file)."""
    from quantroof.advisor.imports.files import from_csv

    aside = Counter[str]()
    return _write(from_csv(file, columns, aside), file, gpu, out, aside)


@command.command("nvbench", short_help="Linear layers, by nvbench or cuda-bench.")
@_columns
@_file_options
def nvbench(*, file: Path, columns: Path, gpu: str, out: Path | None) -> int:
    """Linear layers from the JSON of nvbench or cuda-bench.

    Axes and tags of summaries are the columns: time = "nv/cold/time/gpu/mean" in s, m = "M".
    """
    from quantroof.advisor.imports.files import from_nvbench

    aside = Counter[str]()
    return _write(from_nvbench(file, columns, aside), file, gpu, out, aside)


def _write(source: Source, file: Path, gpu: str, out: Path | None, aside: Counter[str]) -> int:
    """Write the run; returns lines on what was written and what was left out."""
    from quantroof.advisor.imports.writing import write_run
    from quantroof.hwprofiles import catalog

    target, profile = out or Path("runs") / f"imported-{file.stem}", catalog.profile(gpu)
    written = write_run(target, profile, source.imported, source.rows, aside, source.ceilings)
    if source.ceilings:
        tool = source.imported.source.partition(" ")[0]
        echo_lines([f"{len(source.ceilings)} {source.kind} of {profile.id}, by {tool}: {target}"])
    if written or aside:
        echo_lines(_summary(written, profile.id, target, aside))
    return ExitCode.OK if written or source.ceilings else ExitCode.FINDING


def _summary(written: int, gpu: str, out: Path, aside: Counter[str]) -> Iterator[str]:
    yield f"{written} kernel times of {gpu}, imported, not measured here: {out}"
    yield from (f"set aside, {count}: {reason}" for reason, count in aside.most_common())
