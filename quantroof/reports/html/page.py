"""One self-contained HTML file: answers, charts and tables of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from quantroof.advisor.advice import Advice
from quantroof.analysis.answers import Answers
from quantroof.analysis.health_matrix import health_matrix
from quantroof.analysis.unmeasured import Group, unmeasured
from quantroof.analysis.winner import can_win
from quantroof.kernels.schemes import catalog_order
from quantroof.records.quality import QualityStudy
from quantroof.reports.cards import Card, cards, untrusted
from quantroof.reports.html import sections
from quantroof.reports.html.accuracy_section import accuracy_data, tradeoff_figure
from quantroof.reports.html.advice_section import curves_figure
from quantroof.reports.html.bundle import Bundle, asset, pack_json, plotly_bundle, sha256
from quantroof.reports.html.columns import page_data
from quantroof.reports.html.figures import STATES, as_json, figures, reported_states
from quantroof.reports.html.health_section import HealthSection, health_section
from quantroof.reports.html.methods import Methods, methods
from quantroof.reports.html.palette import family, variables
from quantroof.reports.html.summary import Identity, Notice, Summary, identity, notices, summary
from quantroof.reports.text.link_lines import Grid, run_grids

Reader = Literal["health", "formats", "ci"]
TABS = {
    "summary": "Summary",
    "roofline": "Roofline",
    "formats": "Formats",
    "changes": "Changes",
    "serve": "Serve",
    "health": "Health",
    "data": "Data",
}
_OPENS: dict[Reader, str] = {"health": "summary", "formats": "formats", "ci": "changes"}
SCRIPTS = (
    "unpack.js", "data.js", "state.js", "elements.js", "marks.js", "rows.js", "traces.js", "chart.js",
    "labels.js", "controls.js", "formats.js", "accuracy.js", "points.js", "changes.js", "record.js",
    "panels.js", "advice.js", "tabs.js", "main.js",
)  # fmt: skip
STYLES = ("style.css", "report.css", "chart.css", "accuracy.css", "print.css")


@dataclass(frozen=True, slots=True)
class Frame:
    """The technical parts of the file: policy, styles, scripts and packed data. `plotly` is None if the
    library is a file beside the page."""

    policy: str
    style: str
    script: str
    data: str
    plotly: str | None
    plotly_file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything that page.html shows, one section per tab."""

    frame: Frame
    title: str
    identity: Identity
    notices: list[Notice]
    usable: bool
    tabs: dict[str, str]
    setup: sections.Setup
    cards: Sequence[Card]
    summary: Summary
    legend: list[tuple[str, str]]
    timed: bool
    health: HealthSection
    links: tuple[Grid, ...]
    crossovers: list[str]
    tradeoffs: bool
    studies: list[sections.LossTable]
    changes: sections.Changes | None
    advice: sections.AdviceSection | None
    unmeasured: Sequence[Group]
    methods: Methods


def html(
    answers: Answers,
    *,
    reader: Reader = "health",
    beside: bool = False,
    advice: Advice | None = None,
    studies: Sequence[QualityStudy] = (),
) -> str:
    """The page. With `beside` plotly.js is a file next to it, by the bundle's file name.

    `studies` are checked ones (`studies.read_studies`).
    """
    first = _first(answers)
    data = page_data(answers, first)
    data["preset"] = {"tab": _OPENS[reader]}
    data["accuracy"] = accuracy_data(answers.devices, answers.choices, studies)
    charts = _figures(answers, advice)
    states = [STATES[name][2] for name in reported_states(answers.devices)]
    matrix = health_matrix(answers.devices, answers.health)
    about = identity(answers)
    page = Page(
        frame=_frame({"data": data, "figures": charts}, beside=beside),
        title=f"{about.name}: quantroof {', '.join(run.info.run_id for run in answers.runs)}",
        identity=about,
        notices=notices(answers),
        usable=not untrusted(answers),
        tabs=TABS,
        setup=sections.setup(answers),
        cards=cards(answers),
        summary=summary(answers, matrix, first, advice),
        legend=_legend(answers),
        timed=any(results.timed for results in answers.devices),
        health=health_section(answers.health, matrix, states, bandwidth=bool(charts["bandwidth"]["data"])),
        links=tuple(grid for run in answers.runs for grid in run_grids(run)),
        crossovers=sections.crossovers(answers),
        tradeoffs=any(device["views"] for device in data["accuracy"]),
        studies=sections.loss_tables(studies),
        changes=sections.changes(answers),
        advice=sections.advice_section(advice),
        unmeasured=unmeasured(answers.devices),
        methods=methods(answers.devices),
    )
    return str(template("page.html").render(page=page))


def _legend(answers: Answers) -> list[tuple[str, str]]:
    """The formats with a line in the roofline, and the family that gives their color."""
    layers = (layer for choices in answers.choices for layer in choices)
    drawn = {name for layer in layers for batch in layer.batches for name in batch.best if can_win(name)}
    return [(name, family(name)) for name in catalog_order(drawn)]


def _first(answers: Answers) -> int:
    """The device that the page opens with: the one that the format card is about."""
    timed = [index for index, (_, choices) in enumerate(answers.timed) if choices]
    usable = [index for index in timed if answers.devices[index].trust.usable]
    return next(iter([*usable, *timed]), 0)


def _frame(payload: dict[str, Any], *, beside: bool) -> Frame:
    bundle = plotly_bundle()
    script = f'(() => {{\n"use strict";\n{asset(*SCRIPTS)}}})();\n'
    return Frame(
        policy=content_policy(script, bundle, beside=beside),
        style=variables() + asset(*STYLES),
        script=script,
        data=pack_json(payload),
        plotly=None if beside else bundle.packed,
        plotly_file=bundle.file_name,
    )


def _figures(answers: Answers, advice: Advice | None) -> dict[str, Any]:
    """All figures of the page as plotly JSON."""
    charts = figures(answers.devices)
    charts["tradeoff"] = as_json(tradeoff_figure())
    if advice is not None:
        charts["advice"] = as_json(curves_figure(advice))
    return charts


def content_policy(script: str, bundle: Bundle, *, beside: bool) -> str:
    """Nothing may be loaded, and only our two scripts may run, each admitted by its hash.

    A library beside the page is admitted by its place instead: browsers do not hash files from disk. Styles
    are open because plotly sets them on its elements.
    """
    hashes = [sha256(script.encode())] + ([] if beside else [bundle.sha256])
    sources = " ".join([f"'sha256-{value}'" for value in hashes] + (["'self'", "file:"] if beside else []))
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def template(name: str) -> Any:
    """A template of this room: what it shows is escaped, and an absent value is an error."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name)
