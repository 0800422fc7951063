"""Runs from Python: load one, look at it as a table, compare two, write a report."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from quantroof.analysis.answers import Answers, answers
from quantroof.analysis.cause import compare_runs
from quantroof.analysis.comparison import FLOOR, RunComparison
from quantroof.analysis.device_results import DeviceResults, device_results
from quantroof.analysis.run_verdict import run_verdict
from quantroof.analysis.verdicts import Verdict
from quantroof.records.directory import Run, read_run

if TYPE_CHECKING:
    import pandas as pd

RunPath = str | os.PathLike[str]


@dataclass(frozen=True)
class LoadedRun:
    """A run and what follows from it: its devices with their roofs and points, its verdict, its table."""

    run: Run

    @property
    def path(self) -> Path:
        """The run's directory."""
        return self.run.path.parent

    @cached_property
    def devices(self) -> list[DeviceResults]:
        """Each device with its roofs and its points."""
        return device_results([self.run])

    @cached_property
    def verdict(self) -> Verdict:
        """`ok`, `degraded`, `failed` or `unknown`, with the reason: what `quantroof run` ended with."""
        return run_verdict(self.run, self.devices)

    def to_pandas(self) -> pd.DataFrame:
        """One row per measurement with the columns of `quantroof export --to csv`; absent values are NaN."""
        from quantroof.reports.exports.table import table

        return table(self.devices)

    def __repr__(self) -> str:
        names = ", ".join(dict.fromkeys(device.name for device in self.run.info.devices))
        lines = f"{len(self.run.measurements)} measurements of {names}"
        return f"<run {self.run.info.run_id}: {lines}, {self.verdict.state}>"


def load(path: RunPath = "latest") -> LoadedRun:
    """Read a run directory; `latest` is the newest in `runs/`, `FOLDER/latest` the newest in FOLDER.

    Raises `quantroof.errors.UsageError` for what is not a run.
    """
    return LoadedRun(read_run(Path(path), imported=True))


def compare(base: RunPath | LoadedRun, now: RunPath | LoadedRun, *, floor: float = FLOOR) -> RunComparison:
    """Compare two runs case by case; `floor` is the relative change that counts.

    The result has `summary` (one sentence with the cause), `verdict` and `entries`, one per case and kernel
    with its ratio and 95 % interval.
    """
    return compare_runs(_loaded(base).devices, _loaded(now).devices, floor)


def report(
    *runs: RunPath | LoadedRun,
    out: RunPath | None = None,
    baseline: RunPath | LoadedRun | None = None,
    form: Literal["html", "md"] = "html",
) -> Path:
    """Write a report of one or several runs, and return its path: `report.html` beside the first run.

    `form="md"` writes a Markdown summary. Without runs, the newest one in `runs/` is taken.
    """
    from quantroof.files import write_to

    loaded = [_loaded(run) for run in runs] or [load()]
    conclusions = answers([one.run for one in loaded], None if baseline is None else _loaded(baseline).run)
    target = Path(out) if out is not None else loaded[0].path / f"report.{form}"
    text = _page(conclusions, form)
    write_to(target, lambda file: file.write_text(text, encoding="utf-8"))
    return target


def _page(conclusions: Answers, form: Literal["html", "md"]) -> str:
    if form == "md":
        from quantroof.reports.text.markdown import markdown

        return markdown(conclusions, [])
    from quantroof.advisor.usual import usual_advice
    from quantroof.errors import UsageError
    from quantroof.reports.html.page import html

    try:
        advice = usual_advice(conclusions.runs[0])
    except UsageError:  # a run without a bandwidth serves nothing: the page has no such section
        advice = None
    return html(conclusions, advice=advice)


def _loaded(run: RunPath | LoadedRun) -> LoadedRun:
    return run if isinstance(run, LoadedRun) else load(run)
