"""`quantroof history`: how every case developed over many runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.output import echo_json, echo_lines, json_option
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.gate.history import Trend
    from quantroof.gate.steps import Step
    from quantroof.gate.times import RunTimes

_FILE = "run.jsonl"


@click.command("history", short_help="Trends of every case over many runs, with change points.")
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option("--store", type=click.Path(path_type=Path), help="Parquet file that keeps what was added.")
@click.option("--device", help="Only this device of the runs.")
@click.option("--plot", type=click.Path(path_type=Path), help="Write an HTML file with the trends.")
@click.option("--changes", is_flag=True, help="Only cases with a change point.")
@click.option("--all", "everything", is_flag=True, help="Every case, not the 40 that changed most.")
@json_option
def command(
    *,
    folders: tuple[Path, ...],
    store: Path | None,
    device: str | None,
    plot: Path | None,
    changes: bool,
    everything: bool,
    as_json: bool,
) -> None:
    """Read every run below FOLDERS, add it to the store, and print how each case developed.

    Times of runs with anchors (`quantroof run --anchors`) are divided by them, so that a slower machine is
    not taken for slower code. A change point is a level that moved by 2 % or more and stayed; one sentence
    for each run where that happened names the cases and the cause that the records support. Unusable runs,
    and runs disturbed by other processes, are reported on stderr.

    \b
    quantroof history runs/                                     every run below runs/
    quantroof history runs/ --store history.parquet --changes   nightly: keep all, show what moved
    """
    from quantroof.gate.history import trends
    from quantroof.gate.steps import steps
    from quantroof.reports.text.history_lines import MOST, step_document, trend_document, trend_lines

    if not folders and (store is None or not store.exists()):
        raise UsageError("no runs to read", hint="name folders with runs, or a --store that exists")
    runs = _usable(folders, device)
    every = trends(runs, store)
    moved = steps(every, runs)
    shown = [trend for trend in every if trend.changes or not changes]
    if plot is not None:
        _write_plot(shown, moved, plot)
    if as_json:
        document = {"steps": list(map(step_document, moved)), "trends": list(map(trend_document, shown))}
        echo_json("history", document)
        return
    if every and not shown:
        echo_lines(["no case has a change point"])
        return
    echo_lines([*(step.words for step in moved), *trend_lines(shown, most=None if everything else MOST)])


def _usable(folders: tuple[Path, ...], device: str | None) -> list[RunTimes]:
    """The runs below the folders. One night's broken run must not take the history of all others along."""
    from quantroof.analysis.trust import trust_of
    from quantroof.gate.times import run_times
    from quantroof.records.directory import read_run

    runs = []
    for path in _run_folders(folders):
        try:
            run = read_run(path)
            ids = [one.id for one in run.info.devices] if device is None else [device]
            usable = [run_times(run, name) for name in ids]
        except UsageError as error:
            click.echo(f"left out: {error}", err=True)
            continue
        for times in usable:
            trust = trust_of([m for m in run.measurements if m.device == times.device.id])
            if trust.usable:
                runs.append(times)
            else:
                click.echo(f"left out: {path} {times.device.id}: {trust.words}", err=True)
    if folders and not runs:
        raise UsageError("none of the runs can be used", where=", ".join(map(str, folders)))
    return runs


def _run_folders(folders: tuple[Path, ...]) -> list[Path]:
    from quantroof.records.latest import is_latest, latest

    named = [latest(folder) if is_latest(folder) else folder for folder in folders]
    for folder in named:
        if not folder.exists():
            raise UsageError("does not exist", where=str(folder), hint="name a folder of runs, or `latest`")
    paths = [file.parent for folder in named for file in sorted(folder.rglob(_FILE))]
    if folders and not paths:
        raise UsageError(f"no {_FILE} below", where=", ".join(map(str, folders)))
    return paths


def _write_plot(trends: list[Trend], moved: list[Step], target: Path) -> None:
    from quantroof.files import write_to
    from quantroof.reports.html.trend_page import trend_page

    page = trend_page(trends, moved)
    write_to(target, lambda file: file.write_text(page, encoding="utf-8"))
    click.echo(str(target), err=True)
