"""The report on a terminal: the three answers, the format table of the largest layer, the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quantroof import units
from quantroof.analysis.answers import Answers
from quantroof.analysis.choice import LayerChoice
from quantroof.analysis.points import Point, row
from quantroof.analysis.unmeasured import unmeasured
from quantroof.reports import facts as header
from quantroof.reports.cards import cards

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

_STYLES = {"good": "green", "bad": "red", "unsure": "yellow", "none": "dim"}
_REASONS = 12


def show(given: Answers, console: Console, *, failed: bool) -> None:
    """Print a summary, or with `failed` every case that was not measured. Data is never read as markup."""
    if given.simulated:
        console.print(_text("SIMULATED: no device was measured", style="bold red"))
    if failed:
        _print_failed(given, console)
        return
    for run in given.runs:
        console.print(_text(f"{run.info.run_id}  {run.info.started_at}  suite {run.info.suite}"))
        if end := header.outcome(run):
            console.print(_text(f"  {end}", style="yellow"))
    for results in given.devices:
        timed, total = len(results.timed), len(results.points)
        console.print(_text(f"{results.label}  {results.device.name}  {timed} of {total} cases timed"))
    for card in cards(given):
        console.print()
        console.print(
            _text(f"{card.question} {card.symbol} {card.verdict}", style=f"bold {_STYLES[card.tone]}")
        )
        for line in (*card.facts, *([card.advice] if card.advice else [])):
            console.print(_text(f"  {line}"))
    for results, choices in zip(given.devices, given.choices, strict=True):
        if choices:
            console.print()
            console.print(format_table(results.label, choices[0]))
    _print_reasons(given, console)


def format_table(label: str, choice: LayerChoice) -> Table:
    """M by format in time, the winner marked * and ties =."""
    from rich.table import Table

    table = Table(
        title=_text(f"{label}, N {choice.n} x K {choice.k} (* winner, = tie)"), title_justify="left"
    )
    for name in ("M", *choice.schemes):
        table.add_column(_text(name), justify="right")
    for batch in choice.batches:
        cells = []
        for scheme in choice.schemes:
            point = batch.best.get(scheme)
            mark = "*" if scheme == batch.winner else "=" if scheme in batch.ties else " "
            cells.append(_text(units.time(point.time.median if point and point.time else None) + mark))
        table.add_row(str(batch.m), *cells)
    return table


def summary(given: Answers, *, failed: bool) -> dict[str, Any]:
    """The same as data: runs, answers, and one row a measurement (only the untimed ones with `failed`)."""
    points = [(s, p) for s in given.devices for p in (s.points if not failed else _untimed(s.points))]
    return {
        "runs": [
            {
                "run": run.info.run_id,
                "simulated": run.info.simulated,
                "complete": run.complete,
                "measurements": len(run.measurements),
            }
            for run in given.runs
        ],
        "answers": [
            {"question": card.question, "verdict": card.verdict, "facts": list(card.facts)}
            for card in cards(given)
        ],
        "not_measured": [
            {"device": g.device, "status": g.status, "reason": g.reason, "cases": list(g.cases)}
            for g in unmeasured(given.devices)
        ],
        "measurements": [row(point, results.run.info.run_id) for results, point in points],
    }


def _text(value: str, style: str = "") -> Text:
    """Literal text: neither rich's markup nor a terminal's control codes."""
    from rich.text import Text

    return Text(units.printable(value), style=style)


def _untimed(points: tuple[Point, ...]) -> list[Point]:
    return [point for point in points if point.time is None]


def _print_failed(given: Answers, console: Console) -> None:
    groups = unmeasured(given.devices)
    if not groups:
        console.print("every recorded case was timed and passed its check")
    for group in groups:
        console.print(_text(f"{group.status}  {group.device}: {group.reason}", style="bold"))
        for case in group.cases:
            console.print(_text(f"  {case}"))


def _print_reasons(given: Answers, console: Console) -> None:
    groups = unmeasured(given.devices)
    if not groups:
        return
    console.print("\nNot measured (--failed lists the cases)")
    for group in groups[:_REASONS]:
        console.print(_text(f"  {len(group.cases):4d} {group.status}  {group.device}: {group.reason}"))
    if len(groups) > _REASONS:
        console.print(f"  and {len(groups) - _REASONS} more reasons")
