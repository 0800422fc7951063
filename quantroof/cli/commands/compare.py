"""`quantroof compare`: two runs side by side, for people; never fails a job."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.numbers import SHARE
from quantroof.cli.output import echo_json, json_option

if TYPE_CHECKING:
    from quantroof.analysis.comparison import CaseChange, RunComparison


@click.command("compare", short_help="What changed between two runs, for people.")
@click.argument("base", type=click.Path(path_type=Path))
@click.argument("now", type=click.Path(path_type=Path))
@click.option(
    "--floor",
    type=SHARE,
    default=0.05,
    show_default=True,
    help="Relative change that counts.",
)
@click.option("--all", "everything", is_flag=True, help="Also cases that stayed as they were.")
@json_option
def command(*, base: Path, now: Path, floor: float, everything: bool, as_json: bool) -> None:
    """Compare two runs case by case, with intervals and likely causes.

    It never exits 1: two runs are too few to fail a job by. That is what `quantroof gate` is for. It exits 4
    where the runs cannot be compared, such as a simulated with a measured one.

    \b
    quantroof compare runs/before runs/after
    """
    from quantroof.analysis.comparison import compare
    from quantroof.analysis.device_results import device_results
    from quantroof.records.directory import read_run

    found = compare(device_results([read_run(base)]), device_results([read_run(now)]), floor)
    shown = [entry for entry in found.entries if everything or entry.verdict != "pass"]
    if as_json:
        echo_json("comparison", _document(found, shown))
        return
    for line in _lines(found, shown):
        click.echo(line)


def _lines(found: RunComparison, shown: list[CaseChange]) -> Iterator[str]:
    from quantroof.analysis.comparison import CHANGES

    counts = ", ".join(f"{n} {verdict}" for verdict in CHANGES if (n := found.count(verdict)))
    yield f"{found.base_id} -> {found.now_id}: {counts}"
    if found.blocked is not None:
        yield f"not comparable: {found.blocked}"
    yield from (f"differs: {text}" for text in found.differences)
    for entry in shown:
        ratio = entry.ratio
        change = (
            "-" if ratio is None else f"{_share(ratio.median)} ({_share(ratio.low)} to {_share(ratio.high)})"
        )
        causes = f": {'; '.join(entry.causes)}" if entry.causes else ""
        yield f"{entry.verdict:<10} {change:<28} {entry.device} {entry.case} {entry.kernel}{causes}"


def _share(ratio: float) -> str:
    return f"{ratio - 1:+.1%}"


def _document(found: RunComparison, shown: list[CaseChange]) -> dict[str, Any]:
    return {
        "base": found.base_id,
        "now": found.now_id,
        "floor": found.floor,
        "blocked": found.blocked,
        "differences": list(found.differences),
        "entries": [
            {
                "device": entry.device,
                "case": entry.case,
                "kernel": entry.kernel,
                "verdict": entry.verdict,
                "ratio": None if entry.ratio is None else entry.ratio.median,
                "low": None if entry.ratio is None else entry.ratio.low,
                "high": None if entry.ratio is None else entry.ratio.high,
                "causes": list(entry.causes),
            }
            for entry in shown
        ],
    }
