"""What the parts of the page show, as values; the templates only lay them out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof import units
from quantroof.advisor.advice import Advice
from quantroof.analysis.answers import Answers
from quantroof.analysis.health import HealthReport
from quantroof.records.quality import QualityStudy
from quantroof.reports.facts import Facts, device_facts, run_facts
from quantroof.reports.html.accuracy_section import study_tables
from quantroof.reports.html.advice_section import Picture, picture
from quantroof.reports.text.advice_words import OPTION_HEADINGS, headline, option_rows

_FIRST_CEILINGS = 12


@dataclass(frozen=True, slots=True)
class Setup:
    """Runs and devices with their facts; `unfolded` where there is one device."""

    labels: list[str]
    facts: list[Facts]
    unfolded: bool


@dataclass(frozen=True, slots=True)
class CeilingRow:
    """One measured ceiling beside its siblings and the datasheet, as text; `share` is of the datasheet."""

    name: str
    device: str
    low: bool
    measured: str
    siblings: str
    against_siblings: str
    datasheet: str
    share: float | None
    percent: str


@dataclass(frozen=True, slots=True)
class HealthSection:
    """Findings, remarks and ceilings; those in `more` are folded away."""

    findings: Sequence[str]
    remarks: Sequence[str]
    ceilings: list[CeilingRow]
    more: list[CeilingRow]
    states: str | None
    bandwidth: bool


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
    """The advisor's answer: its flow, all options as cells, and whether there are curves to draw."""

    headline: str
    flow: Picture
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
    facts = [run_facts(run) for run in answers.runs]
    facts += [device_facts(results) for results in answers.devices]
    return Setup([results.label for results in answers.devices], facts, len(answers.devices) == 1)


def health_section(health: HealthReport, states: Sequence[str], *, bandwidth: bool) -> HealthSection:
    """The ceilings come as `health` orders them: the furthest from their siblings first."""
    rows = []
    for row in health.rows:
        unit = "B/s" if row.quantity == "bandwidth" else "FLOP/s"
        beside = None if row.against_siblings is None else row.against_siblings + 1
        rows.append(
            CeilingRow(
                name=row.name,
                device=row.device,
                low=row.low,
                measured=units.si(row.measured, unit),
                siblings=units.si(row.siblings, unit),
                against_siblings=units.change(beside),
                datasheet=units.si(row.datasheet, unit),
                share=row.against_datasheet,
                percent=units.percent(row.against_datasheet),
            )
        )
    first, more = rows[:_FIRST_CEILINGS], rows[_FIRST_CEILINGS:]
    return HealthSection(health.findings, health.remarks, first, more, ", ".join(states) or None, bandwidth)


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
    rows = option_rows(advice)
    return AdviceSection(
        headline(advice), picture(advice), bool(advice.curves), OPTION_HEADINGS, rows, advice.remarks
    )
