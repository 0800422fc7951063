"""quantroof export: a run in formats that other tools read."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import click

from quantroof.cli.output import deliver

_FORMATS = {
    "csv": "one row a measurement, base units",
    "parquet": "the same in columns (needs the store extra)",
    "json": "records with raw samples and derived values",
    "pytest-benchmark": "for pytest-benchmark compare",
    "google-benchmark": "for Google Benchmark's compare.py",
}
_HELP = "; ".join(f"{name}: {text}" for name, text in _FORMATS.items())


@click.command(short_help="Write runs as CSV, Parquet, JSON or a benchmark library's JSON.")
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", "form", required=True, type=click.Choice(list(_FORMATS)), help=_HELP)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="The file to write; - is standard output."
)
def command(runs: tuple[Path, ...], form: str, out: Path) -> None:
    """Export all measurements of RUNS into one file and print its path.

    \b
    quantroof export runs/after --to csv --out - | column -s, -t
    quantroof export runs/a runs/b --to parquet --out both.parquet
    """
    from quantroof.analysis.device_results import device_results
    from quantroof.records.directory import read_run

    found = device_results([read_run(run) for run in runs])
    exporter = import_module(f"quantroof.reports.exports.{form.replace('-', '_')}")
    deliver(out, lambda target: exporter.write(found, target))
