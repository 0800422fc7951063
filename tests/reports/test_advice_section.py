"""The serving section: drawn in a real browser, honest about its sources, safe with any name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from quantroof.advisor.flow import decision_flow
from quantroof.advisor.usual import usual_advice
from quantroof.analysis.answers import answers
from quantroof.errors import UsageError
from quantroof.records.lines import Flag
from quantroof.reports.html.advice_section import curves_figure
from quantroof.reports.html.page import html
from quantroof.reports.html.sections import advice_section
from quantroof.reports.text.advice_words import filled
from tests import builders, runs
from tests.reports.conftest import Open


def test_options_and_curves_are_drawn(built: Callable[..., Path], open_page: Open) -> None:
    """One line per format, one row per question, no request and no console message."""
    run = runs.gpu_run()
    advice = usual_advice(run)

    seen = open_page(built("advice", [run], advice=advice), fragment="#tab=serve")

    assert seen.page.locator("#advice-curves .scatterlayer .trace").count() == len(advice.curves) >= 5
    assert seen.page.locator(".questions tr").count() == len(decision_flow(advice)) >= 5
    assert seen.page.locator(".options tbody tr").count() == len(advice.options)
    assert seen.requests == []
    assert seen.complaints == []


def test_a_node_is_asked_for_no_more_gpus_than_it_has() -> None:
    """A run of eight GPUs is answered with up to eight, a run of one with one."""
    eight, one = usual_advice(runs.node_run()), usual_advice(runs.gpu_run())

    assert max(option.gpus for option in eight.options) == 8
    assert {option.gpus for option in one.options} == {1}


def test_curves_say_where_their_times_are_from() -> None:
    """Formats that the run timed are interpolated, the others modeled, and the marker shows it."""
    figure = curves_figure(usual_advice(runs.gpu_run()))

    traces = {trace.name.split(",")[0]: trace for trace in figure.data}
    assert re.search(r"linear layers \d+% interpolated, \d+% measured, \d+% modeled$", traces["bf16"].text[0])
    assert traces["nf4-w4a16"].text[0].endswith("linear layers modeled")
    assert traces["bf16"].marker.symbol[0] != traces["nf4-w4a16"].marker.symbol[0]


def test_simulated_advice_is_marked() -> None:
    """A simulated run's section starts with the word."""
    run = runs.gpu_run(simulated=True)

    page = html(answers([run]), advice=usual_advice(run))

    assert '<p class="sentence">SIMULATED. llama-3.1-8b' in page


def test_names_are_escaped() -> None:
    """A device's name is text, whatever is in it."""
    run = runs.gpu_run(name="<script>alert(1)</script>")

    page = html(answers([run]), advice=usual_advice(run))

    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_run_without_bandwidth_has_no_section() -> None:
    """Neither a ceiling nor a profile: the advisor says what is missing instead of guessing."""
    run = runs.cpu_run()
    run.ceilings.clear()

    with pytest.raises(UsageError, match="bandwidth of AMD EPYC 9B14 is neither measured nor known"):
        usual_advice(run)


def test_unknown_gpu_without_a_profile_still_gets_advice() -> None:
    """A device that nobody listed is judged by its own ceilings."""
    built = runs.gpu_run()
    device = msgspec.structs.replace(built.info.devices[0], profile_id=None)
    built.info = msgspec.structs.replace(built.info, devices=(device,), profiles={})

    advice = usual_advice(builders.run(built.info, [*built.ceilings, *built.measurements]))

    assert advice.machine.bandwidth.basis == "measured"
    assert advice.frontier


def test_the_table_has_no_empty_or_repeated_column() -> None:
    """Dollars without a price are left out, and `sequences` only where every row repeats its batch."""
    row = (
        "bf16",
        "fp16",
        "1",
        "9 ms",
        "25",
        "20 to 30",
        "8",
        "8",
        "0.5",
        "300",
        "-",
        "-",
        "-",
        "modeled",
        "meets",
    )
    headings, cells = filled([row])
    assert "$/M tok" not in headings
    assert "sequences" not in headings
    assert cells == [tuple(cell for i, cell in enumerate(row) if i not in (7, 10, 11, 12))]

    other = (*row[:7], "16", *row[8:])
    assert "sequences" in filled([row, other])[0]


def test_a_disturbed_run_lists_no_options() -> None:
    """Where the figures may not be used the section holds the reason, and neither table nor curves."""
    flag = Flag(code="foreign_load", text="other processes kept 1.5 cores busy")
    made = runs.cpu_run()
    lines = [msgspec.structs.replace(m, flags=(flag,)) if m.timing else m for m in made.measurements]
    disturbed = builders.run(made.info, [*made.ceilings, *lines])

    page, usable = (html(answers([run]), advice=usual_advice(run)) for run in (disturbed, made))

    assert "unknown, " in page
    assert "do not use" in page
    for part in ('aria-label="serving options"', 'id="advice-curves"'):
        assert part in usable
        assert part not in page


def test_without_targets_no_option_meets_anything() -> None:
    """The page's table has no column of verdicts unless an option does not fit."""
    section = advice_section(usual_advice(runs.gpu_run()))

    assert section is not None
    assert "verdict" not in section.headings
    assert not any("meets" in cell for row in section.rows for cell in row)
