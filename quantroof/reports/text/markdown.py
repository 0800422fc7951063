"""The report as Markdown: fit for a ticket or a CI step summary."""

from __future__ import annotations

from collections.abc import Sequence

from quantroof import units
from quantroof.analysis.answers import Answers
from quantroof.analysis.choice import LayerChoice
from quantroof.analysis.comparison import RunComparison
from quantroof.analysis.unmeasured import unmeasured
from quantroof.records.lines import case_words
from quantroof.records.quality import QualityStudy
from quantroof.reports import facts as header
from quantroof.reports.cards import cards, untrusted
from quantroof.reports.html.accuracy_section import StudyTable, study_tables
from quantroof.reports.text import md
from quantroof.reports.text.md import bold, bullets, text
from quantroof.reports.text.stack_lines import compiler_lines

_ROWS = 20


def markdown(answers: Answers, studies: Sequence[QualityStudy] = ()) -> str:
    """Cards, changes, a format table of every device's largest layer, losses, and what was not measured."""
    parts = [f"# quantroof: {text(', '.join(run.info.run_id for run in answers.runs))}"]
    if answers.simulated:
        parts.append(
            "> **SIMULATED**: no device was measured; these figures say nothing about real hardware."
        )
    parts += [f"> ? {text(line)}" for line in untrusted(answers)]
    parts += [
        f"> {text(run.info.run_id)}: {text(end)}" for run in answers.runs if (end := header.outcome(run))
    ]
    parts.append(
        bullets(f"{s.label}: {s.device.name}, {_set_up(header.device_facts(s))}" for s in answers.devices)
    )
    for card in cards(answers):
        lines = [*card.facts, *([card.advice] if card.advice else [])]
        floor = f"\n\n*Judged by: {text(card.floor)}.*" if card.floor else ""
        parts.append(
            f"## {text(card.question)} {card.symbol} {text(card.verdict)}\n\n{bullets(lines)}{floor}"
        )
    if answers.comparison is not None and not answers.comparison.blocked:
        parts.append(_changes(answers.comparison))
    for results, choices in zip(answers.devices, answers.choices, strict=True):
        if choices:
            parts.append(_formats(results.label, choices[0]))
            parts.append(bullets(compiler_lines(results.compiler, choices[0].schemes)))
    parts += [_losses(table) for table in study_tables(studies)]
    parts.append(_unmeasured(answers))
    return "\n\n".join(part for part in parts if part) + "\n"


def _set_up(facts: header.Facts) -> str:
    labels = ("driver", "power limit", "ECC", "MIG", "SM clock held", "cores")
    return ", ".join(f"{name} {value}" for name, value in facts if name in labels)


def _changes(comparison: RunComparison) -> str:
    entries = [e for e in comparison.entries if e.verdict in ("slower", "undecided", "missing")]
    if not entries:
        return ""
    rows = []
    for entry in entries[:_ROWS]:
        base, now = (p.time.median if p and p.time else None for p in (entry.base, entry.now))
        ratio = entry.ratio
        interval = f"{units.change(ratio.low)} to {units.change(ratio.high)}" if ratio else units.NONE
        change = units.change(ratio.median if ratio else None)
        cells = (
            f"{case_words(entry.case)}, {entry.kernel}",
            units.time(base),
            units.time(now),
            change,
            interval,
        )
        rows.append([*cells, bold(entry.verdict), "; ".join(entry.causes)])
    head = ("case", "base", "now", "change", "95 % interval", "verdict", "what else changed")
    more = f"\n\n{len(entries) - _ROWS} more are in the HTML report." if len(entries) > _ROWS else ""
    return md.table(head, rows) + more


def _formats(label: str, choice: LayerChoice) -> str:
    head = ["M", "winner", *choice.schemes]
    rows = []
    for batch in choice.batches:
        cells = []
        for scheme in choice.schemes:
            point = batch.best.get(scheme)
            value = units.time(point.time.median if point and point.time else None)
            cells.append(
                bold(value)
                if scheme == batch.winner.alone
                else f"{value} ="
                if scheme in batch.winner.leaders
                else value
            )
        rows.append([str(batch.m), " = ".join(batch.winner.leaders) or units.NONE, *cells])
    title = f"### {text(label)}, N {choice.n}, K {choice.k}: {text(choice.sentence())}"
    note = "Bold is the winner, = marks ties. -static formats receive quantized activations and cannot win."
    return f"{title}\n\n{md.table(head, rows)}\n\n{note}"


def _losses(table: StudyTable) -> str:
    rows = [
        [method, *(cell.words if cell else units.NONE for cell in cells), scheme]
        for method, scheme, cells in table.rows
    ]
    head = ("method", *table.variants, "speed of")
    title = f"## What {text(table.study.header.model)} loses, nats a token over unquantized"
    return f"{title}\n\n{md.table(head, rows)}"


def _unmeasured(answers: Answers) -> str:
    groups = unmeasured(answers.devices)
    if not groups:
        return ""
    lines = bullets(f"{g.status}, {len(g.cases)} x on {g.where}: {g.reason}" for g in groups[:_ROWS])
    return f"## Not measured, and why\n\n{lines}"
