"""One self-contained HTML file: answers, charts and tables of one or several runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from quantroof import units
from quantroof.advisor.advice import Advice
from quantroof.analysis.answers import Answers
from quantroof.analysis.unmeasured import unmeasured
from quantroof.records.quality import QualityStudy
from quantroof.reports import facts as header
from quantroof.reports.cards import cards
from quantroof.reports.html import claims_section, methods
from quantroof.reports.html.accuracy_section import accuracy_data, study_tables, tradeoff_figure
from quantroof.reports.html.advice_section import curves_figure, picture
from quantroof.reports.html.bundle import Bundle, asset, pack_json, plotly_bundle, sha256
from quantroof.reports.html.claims_section import claims_page
from quantroof.reports.html.columns import page_data
from quantroof.reports.html.figures import STATES, as_json, figures, reported_states
from quantroof.reports.text import advice_words

Reader = Literal["health", "formats", "ci"]
READERS: dict[Reader, tuple[str, ...]] = {
    "health": ("roofline", "health", "formats", "accuracy", "changes"),
    "formats": ("roofline", "formats", "accuracy", "health", "changes"),
    "ci": ("changes", "roofline", "formats", "accuracy", "health"),
}
_PRESETS: dict[Reader, dict[str, str]] = {
    "health": {},
    "formats": {"show": "path"},
    "ci": {"y": "share"},
}
SCRIPTS = (
    "unpack.js", "data.js", "state.js", "elements.js", "rows.js", "chart.js", "labels.js", "controls.js",
    "formats.js", "accuracy.js", "points.js", "changes.js", "record.js", "panels.js", "advice.js", "main.js",
)  # fmt: skip


def html(
    given: Answers,
    *,
    reader: Reader = "health",
    beside: bool = False,
    advice: Advice | None = None,
    studies: Sequence[QualityStudy] = (),
) -> str:
    """The page. With `beside` plotly.js is a file next to it, by the bundle's file name.

    `studies` are checked ones (`studies.read_studies`); the first judges the claims about losses.
    """
    bundle = plotly_bundle()
    script = f'(() => {{\n"use strict";\n{asset(*SCRIPTS)}}})();\n'
    data = page_data(given.devices, given.choices, given.comparison)
    data["preset"] = _PRESETS[reader]
    data["accuracy"] = accuracy_data(given.devices, given.choices, studies)
    built = _figures(given, advice)
    return str(
        template("page.html").render(
            given=given,
            cards=cards(given),
            sections=READERS[reader],
            advice=advice,
            advice_words=advice_words,
            flow=picture(advice) if advice else None,
            title=f"quantroof: {', '.join(run.info.run_id for run in given.runs)}",
            policy=content_policy(script, bundle, beside=beside),
            style=asset("style.css", "advice.css", "accuracy.css"),
            tradeoffs=data["accuracy"],
            studies=study_tables(studies),
            claims=claims_page(given.timed, studies[0] if studies else None),
            claim_words=claims_section,
            script=script,
            data=pack_json({"data": data, "figures": built}),
            plotly=None if beside else bundle.packed,
            plotly_file=bundle.file_name if beside else None,
            unmeasured=unmeasured(given.devices),
            figures=built,
            states=[STATES[name][2] for name in reported_states(given.devices)],
            header=header,
            methods=methods,
            units=units,
        )
    )


def _figures(given: Answers, advice: Advice | None) -> dict[str, Any]:
    """All figures of the page as plotly JSON."""
    built = figures(given.devices)
    built["tradeoff"] = as_json(tradeoff_figure())
    if advice is not None:
        built["advice"] = as_json(curves_figure(advice))
    return built


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
    environment.globals["zip"] = zip
    return environment.get_template(name)
