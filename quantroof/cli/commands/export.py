"""`quantroof export`: a run in formats that other tools read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import FILE
from quantroof.cli.output import deliver, note

if TYPE_CHECKING:
    from quantroof.analysis.device_results import DeviceResults

_FORMATS = {
    "csv": "one row per measurement, base units",
    "parquet": "the same in columns (needs the store extra)",
    "json": "records with raw samples and derived values",
    "pytest-benchmark": "for pytest-benchmark compare",
    "google-benchmark": "for Google Benchmark's compare.py, with aggregates",
    "github-action-benchmark": "one entry per time, for its tool customSmallerIsBetter",
    "bencher": "Bencher's Metric Format, with the 95 % interval as bounds",
    "pytorch-benchmark": "records of PyTorch's OSS benchmark database",
    "openmetrics": "score, floor, verdict and time of every GPU, for the node exporter's textfile collector",
    "node-verdict": "JSON of every node in the shape of Health Validation's NodeVerdict",
}
_JUDGED = ("openmetrics", "node-verdict")
_HELP = "; ".join(f"{name}: {text}" for name, text in _FORMATS.items())


@click.command(short_help="Write runs as CSV, Parquet, JSON or a benchmark library's JSON.")
@click.argument("runs", nargs=-1, required=True, type=FILE)
@click.option("--to", "form", required=True, type=click.Choice(list(_FORMATS)), help=_HELP)
@click.option("--out", required=True, type=FILE, help="The file to write; - is standard output.")
def command(runs: tuple[Path, ...], form: str, out: Path) -> None:
    """Export all measurements of RUNS into one file and print its path.

    \b
    quantroof export runs/after --to csv --out - | column -s, -t
    quantroof export runs/a runs/b --to parquet --out both.parquet
    quantroof export runs/after --to bencher --out - | bencher run --adapter json
    quantroof export runs/burn-in/* --to openmetrics --out /var/lib/node_exporter/quantroof.prom

    openmetrics and node-verdict judge the GPUs as `quantroof fleet` does.
    openmetrics replaces the file in one step.
    """
    if form in _JUDGED:
        _write_verdicts(runs, form, out)
        return
    from quantroof.analysis.device_results import device_results
    from quantroof.records.directory import read_run

    devices = device_results([read_run(run) for run in runs])
    write = _writer(form)
    deliver(out, lambda target: write(devices, target))


def _write_verdicts(runs: tuple[Path, ...], form: str, out: Path) -> None:
    from quantroof.fleet.analysis import analyze
    from quantroof.fleet.gather import gather
    from quantroof.fleet.policy import Policy
    from quantroof.reports.exports import node_verdict, openmetrics

    analysis = analyze(gather(map(str, runs)), Policy())
    for problem in analysis.problems:
        note(f"warning: {problem}")
    write = openmetrics.write if form == "openmetrics" else node_verdict.write
    deliver(out, lambda target: write(analysis, target))


def _writer(form: str) -> Callable[[list[DeviceResults], Path], None]:
    from quantroof.reports.exports import charts, google_benchmark, json, pytest_benchmark, table

    return {
        "csv": table.write_csv,
        "parquet": table.write_parquet,
        "json": json.write,
        "pytest-benchmark": pytest_benchmark.write,
        "google-benchmark": google_benchmark.write,
        "github-action-benchmark": charts.write_github_action_benchmark,
        "bencher": charts.write_bencher,
        "pytorch-benchmark": charts.write_pytorch_benchmark,
    }[form]
