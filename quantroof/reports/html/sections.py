"""What the parts of the page show, as values; the templates only lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof import units
from quantroof.advisor.advice import Advice
from quantroof.advisor.flow import Question, decision_flow
from quantroof.analysis.answers import Answers
from quantroof.records.quality import QualityStudy
from quantroof.reports.facts import Facts, device_facts, run_facts
from quantroof.reports.html.accuracy_section import study_tables
from quantroof.reports.text.advice_words import NONE, filled, headline, option_rows

_IDENTITY = ("id", "UUID", "SM clock held")
"""Facts that differ between the GPUs of one node: the list of set-ups leaves them out."""


@dataclass(frozen=True, slots=True)
class Setup:
    """Runs and devices with their facts, each under its name."""

    facts: list[tuple[str, Facts]]


@dataclass(frozen=True, slots=True)
class Changes:
    """What the first run is compared with; `blocked` is the reason why it cannot be."""

    base_id: str
    now_id: str
    floor: str
    blocked: str | None
    summary: str
    differences: str


@dataclass(frozen=True, slots=True)
class AdviceSection:
    """The advisor's answer: its flow, all options as cells, and whether there are curves to draw.

    `usable` is False where the run's figures may not be used: then only the headline is shown.
    """

    headline: str
    usable: bool
    questions: tuple[Question, ...]
    curves: bool
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]]
    remarks: Sequence[str]


@dataclass(frozen=True, slots=True)
class LossTable:
    """One study: what it was measured on, and a row per method with its cells and their classes."""

    name: str
    setting: str
    variants: list[str]
    rows: list[tuple[str, list[tuple[str, str]], str]]


def setup(answers: Answers) -> Setup:
    """The facts of all runs, then those of all devices."""
    facts = [(run.info.run_id, run_facts(run)) for run in answers.runs]
    return Setup([*facts, *_device_facts(answers)])


def _device_facts(answers: Answers) -> list[tuple[str, Facts]]:
    """Devices that differ in nothing but their identity share one list."""
    alike: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for results in answers.devices:
        facts = tuple((name, text) for name, text in device_facts(results) if name not in _IDENTITY)
        alike.setdefault(facts, []).append(results.label)
    if not answers.devices[1:]:
        return [(results.label, device_facts(results)) for results in answers.devices]
    return [(", ".join(labels), list(facts)) for facts, labels in alike.items()]


def changes(answers: Answers) -> Changes | None:
    """None without a baseline."""
    comparison = answers.comparison
    if comparison is None:
        return None
    return Changes(
        base_id=comparison.base_id,
        now_id=comparison.now_id,
        floor=units.percent(comparison.floor),
        blocked=comparison.blocked,
        summary=comparison.summary,
        differences="; ".join(comparison.differences),
    )


def crossovers(answers: Answers) -> list[str]:
    """One sentence per device and layer."""
    return [
        f"{results.label}, N {layer.n} \N{MULTIPLICATION SIGN} K {layer.k}: {layer.sentence()}"
        for results, layers in answers.timed
        for layer in layers
    ]


def loss_tables(studies: Sequence[QualityStudy]) -> list[LossTable]:
    """Every study as text."""
    tables = []
    for table in study_tables(studies):
        header, text = table.study.header, table.study.header.evaluation
        setting = (
            f"Model {header.model}, weights {header.weights}; {text.windows} windows of {text.window_tokens} "
            f"tokens of {text.source}; studied {header.started_at}."
        )
        rows: list[tuple[str, list[tuple[str, str]], str]] = []
        for method, scheme, losses in table.rows:
            cells: list[tuple[str, str]] = [
                (
                    loss.words if loss else "not studied",
                    loss.difference.verdict if loss and loss.difference else "quiet",
                )
                for loss in losses
            ]
            rows.append((method, cells, scheme))
        tables.append(LossTable(table.name, setting, table.variants, rows))
    return tables


def advice_section(advice: Advice | None) -> AdviceSection | None:
    """None without advice."""
    if advice is None:
        return None
    headings, rows = filled(_without_targets(advice, option_rows(advice)))
    return AdviceSection(
        headline(advice),
        advice.unusable is None,
        decision_flow(advice),
        bool(advice.curves),
        headings,
        rows,
        advice.remarks,
    )


def _without_targets(advice: Advice, rows: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Without targets an option meets nothing: only what does not fit keeps a word."""
    if advice.request.has_targets:
        return rows
    return [(*cells, NONE if verdict == "meets" else verdict) for *cells, verdict in rows]
