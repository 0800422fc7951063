"""One self-contained HTML file: answers, charts and tables of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from quantroof.records.directory import Run
from quantroof.reports import header, methods, units
from quantroof.reports.bundle import Bundle, asset, pack_json, plotly_bundle, sha256
from quantroof.reports.cards import Card, change_card, format_card, health_card
from quantroof.reports.choice import LayerChoice, layer_choices
from quantroof.reports.columns import page_data
from quantroof.reports.comparison import RunComparison, compare
from quantroof.reports.figures import figures
from quantroof.reports.health import Health, judge_health
from quantroof.reports.palette import ordered
from quantroof.reports.subjects import Subject, subjects
from quantroof.reports.unmeasured import unmeasured

Reader = Literal["health", "formats", "ci"]
READERS: dict[Reader, tuple[str, ...]] = {
    "health": ("roofline", "health", "formats", "changes"),
    "formats": ("roofline", "formats", "health", "changes"),
    "ci": ("changes", "roofline", "formats", "health"),
}
_PRESETS: dict[Reader, dict[str, str]] = {
    "health": {},
    "formats": {"show": "path"},
    "ci": {"y": "share"},
}
SCRIPTS = (
    "unpack.js", "data.js", "state.js", "elements.js", "rows.js", "chart.js", "labels.js", "controls.js",
    "formats.js", "points.js", "changes.js", "record.js", "panels.js", "main.js",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answers:
    """Everything a report says, before it is laid out: shared by HTML, Markdown and the terminal."""

    runs: list[Run]
    subjects: list[Subject]
    health: Health
    choices: list[list[LayerChoice]]
    comparison: RunComparison | None = None
    cards: tuple[Card, ...] = field(default=())

    @property
    def simulated(self) -> bool:
        """True where any run is simulated."""
        return any(run.info.simulated for run in self.runs)


def answers(runs: Sequence[Run], baseline: Run | None = None) -> Answers:
    """Judge the runs. With a baseline, the first run is compared with it."""
    found = subjects(list(runs))
    order = ordered({p.case.scheme for subject in found for p in subject.points})
    choices = [layer_choices(subject, order) for subject in found]
    comparison = None
    if baseline is not None:
        now = [subject for subject in found if subject.run is runs[0]]
        comparison = compare(subjects([baseline]), now)
    health = judge_health(found)
    first = next((own for own in choices if own), [])
    cards = (health_card(health), format_card(first), change_card(comparison))
    return Answers(list(runs), found, health, choices, comparison, cards)


def html(given: Answers, *, reader: Reader = "health", beside: bool = False) -> str:
    """The page. With `beside` plotly.js is a file next to it, by the bundle's file name."""
    bundle = plotly_bundle()
    script = f'(() => {{\n"use strict";\n{asset(*SCRIPTS)}}})();\n'
    data = page_data(given.subjects, given.choices, given.comparison)
    data["preset"] = _PRESETS[reader]
    return str(
        _template().render(
            given=given,
            sections=READERS[reader],
            title=f"quantroof: {', '.join(run.info.run_id for run in given.runs)}",
            policy=content_policy(script, bundle, beside=beside),
            style=asset("style.css"),
            script=script,
            data=pack_json({"data": data, "figures": figures(given.subjects)}),
            plotly=None if beside else bundle.packed,
            plotly_file=bundle.file_name if beside else None,
            unmeasured=unmeasured(given.subjects),
            header=header,
            methods=methods,
            units=units,
        )
    )


def content_policy(script: str, bundle: Bundle, *, beside: bool) -> str:
    """Nothing may be loaded, and only two known scripts may run, each admitted by its hash.

    A library beside the page is admitted by its place instead: browsers do not hash files from disk. Styles
    are open because plotly sets them on its elements.
    """
    hashes = [sha256(script.encode())] + ([] if beside else [bundle.sha256])
    sources = " ".join([f"'sha256-{value}'" for value in hashes] + (["'self'", "file:"] if beside else []))
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _template() -> Any:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(asset),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["zip"] = zip
    return environment.get_template("page.html")
