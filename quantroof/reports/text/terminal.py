"""The report on a terminal: the three answers, the format table of the largest layer, the gaps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from quantroof import units
from quantroof.analysis.answers import Answers
from quantroof.analysis.choice import LayerChoice
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import Point, row
from quantroof.analysis.unmeasured import unmeasured
from quantroof.reports import facts as header
from quantroof.reports.cards import cards, untrusted
from quantroof.reports.text.race_lines import race_lines
from quantroof.reports.text.stack_lines import compiler_lines
from quantroof.reports.text.table import literal, table, titled

if TYPE_CHECKING:
    from rich.console import Console, Group

_STYLES = {"good": "green", "bad": "red", "unsure": "yellow", "none": "dim"}
_REASONS = 12


def show(answers: Answers, console: Console, *, failed: bool) -> None:
    """Print a summary, or with `failed` every case that was not measured. Data is never read as markup."""
    if answers.simulated:
        console.print(literal("SIMULATED: no device was measured", style="bold red"))
    if failed:
        _print_failed(answers, console)
        return
    _print_runs(answers, console)
    for card in cards(answers):
        console.print()
        console.print(
            literal(f"{card.question} {card.symbol} {card.verdict}", style=f"bold {_STYLES[card.tone]}")
        )
        for line in (*card.facts, *([card.advice] if card.advice else [])):
            console.print(literal(f"  {line}"))
    _print_tables(answers, console)
    for line in race_lines(answers.devices):
        console.print(literal(line), soft_wrap=True)
    _print_reasons(answers, console)


def _print_runs(answers: Answers, console: Console) -> None:
    """Every run and device, and which of them may not be used."""
    for run in answers.runs:
        console.print(literal(f"{run.info.run_id}  {run.info.started_at}  suite {run.info.suite}"))
        if end := header.outcome(run):
            console.print(literal(f"  {end}", style="yellow"))
    alike: dict[tuple[str, str, int, int], list[str]] = {}
    for results in answers.devices:
        key = (*_model(results), len(results.timed), len(results.points))
        alike.setdefault(key, []).append(results.label)
    for (_, name, timed, total), labels in alike.items():
        what = f"{len(labels)} x {name}" if labels[1:] else f"{labels[0]}  {name}"
        console.print(literal(f"{what}  {timed} of {total} cases timed{' on each' if labels[1:] else ''}"))
    for line in untrusted(answers):
        console.print(literal(f"? {line}", style="yellow"))


def _model(results: DeviceResults) -> tuple[str, str]:
    return results.run.info.run_id, results.device.name


def _print_tables(answers: Answers, console: Console) -> None:
    """The format table of the first device of each model in each run; siblings have nearly the same."""
    tables: dict[tuple[str, str], list[tuple[DeviceResults, LayerChoice]]] = {}
    for results, choices in zip(answers.devices, answers.choices, strict=True):
        if choices:
            tables.setdefault(_model(results), []).append((results, choices[0]))
    for (results, choice), *others in tables.values():
        console.print()
        console.print(format_table(results.label, choice))
        for line in compiler_lines(results.compiler, choice.schemes):
            console.print(literal(f"  {line}"), soft_wrap=True)
        if others:
            more = f"{len(others)} more of this model"
            console.print(literal(f"  {more}: `quantroof report` shows each, --json every measurement"))


def format_table(label: str, choice: LayerChoice) -> Group:
    """M by format in time, the winner marked * and ties =."""
    headings, rows = ("M", *choice.schemes), []
    for batch in choice.batches:
        cells = []
        for scheme in choice.schemes:
            point = batch.best.get(scheme)
            mark = "*" if scheme == batch.winner.alone else "=" if scheme in batch.winner.leaders else " "
            cells.append(units.time(point.time.median if point and point.time else None) + mark)
        rows.append((str(batch.m), *cells))
    title = f"{label}, N {choice.n} x K {choice.k} (* winner, = ties)"
    return titled(title, table(headings, rows, right=headings))


def summary(answers: Answers, *, failed: bool) -> dict[str, Any]:
    """The same as data: runs, answers, and one row per measurement (only the untimed ones with `failed`)."""
    points = [(s, p) for s in answers.devices for p in (s.points if not failed else _untimed(s.points))]
    return {
        "verdict": answers.health.verdict.state,
        "reason": answers.health.verdict.reason,
        "devices": {label: verdict.state for label, verdict in answers.health.devices.items()},
        "runs": [
            {
                "run": run.info.run_id,
                "simulated": run.info.simulated,
                "complete": run.complete,
                "measurements": len(run.measurements),
                "trust": {
                    results.device.id: {"usable": results.trust.usable, "words": results.trust.words}
                    for results in answers.devices
                    if results.run is run
                },
            }
            for run in answers.runs
        ],
        "answers": [
            {
                "question": card.question,
                "verdict": card.verdict,
                "tone": card.tone,
                "facts": list(card.facts),
            }
            for card in cards(answers)
        ],
        "compiler": {
            results.label: {"triton": results.compiler.version, "formats": msgspec.to_builtins(verdicts)}
            for results in answers.devices
            if (verdicts := results.compiler.of({point.scheme for point in results.points}))
        },
        "not_measured": [
            {"devices": list(g.devices), "status": g.status, "reason": g.reason, "cases": list(g.cases)}
            for g in unmeasured(answers.devices)
        ],
        "measurements": [row(point, results.run.info.run_id) for results, point in points],
    }


def _untimed(points: tuple[Point, ...]) -> list[Point]:
    return [point for point in points if point.time is None]


def _print_failed(answers: Answers, console: Console) -> None:
    groups = unmeasured(answers.devices)
    if not groups:
        console.print("every recorded case was timed and passed its check")
    for group in groups:
        console.print(literal(f"{group.status}  {group.where}: {group.reason}", style="bold"))
        for case in group.words:
            console.print(literal(f"  {case}"))


def _print_reasons(answers: Answers, console: Console) -> None:
    groups = unmeasured(answers.devices)
    if not groups:
        return
    console.print("\nNot measured (--failed lists the cases)")
    for group in groups[:_REASONS]:
        console.print(literal(f"  {len(group.cases):4d} {group.status}  {group.where}: {group.reason}"))
    if len(groups) > _REASONS:
        console.print(f"  and {len(groups) - _REASONS} more reasons")
