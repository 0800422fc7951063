"""The accuracy part of the page: rows above the format table, speed against loss, the studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quantroof import units
from quantroof.analysis.choice import LayerChoice
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.speed import baseline
from quantroof.analysis.studies import Loss, losses, name_of, variants
from quantroof.analysis.tradeoff import Tradeoff, View, format_errors, kernel_errors, tradeoffs, views
from quantroof.analysis.winner import can_win
from quantroof.records.quality import QualityStudy
from quantroof.reports.text.stack_lines import compiler_words

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True, slots=True)
class StudyTable:
    """One study as a table: methods by variant, with what it was measured on."""

    study: QualityStudy
    variants: list[str]
    rows: list[tuple[str, str, list[Loss | None]]]

    @property
    def name(self) -> str:
        """The model in a word."""
        return name_of(self.study)


def study_tables(studies: Sequence[QualityStudy]) -> list[StudyTable]:
    """Every method of every study, in the order of the file; one that was not measured has its reason."""
    tables = []
    for study in studies:
        names = variants(study)
        by_variant = {name: {loss.result.method: loss for loss in losses(study, name)} for name in names}
        methods = list(dict.fromkeys(method for own in by_variant.values() for method in own))
        rows = []
        for method in methods:
            cells = [by_variant[name].get(method) for name in names]
            scheme = next((c.result.scheme for c in cells if c is not None and c.result.scheme), None)
            rows.append((method, scheme or "none of ours", cells))
        tables.append(StudyTable(study, names, rows))
    return tables


def accuracy_data(
    devices: list[DeviceResults], choices: list[list[LayerChoice]], studies: Sequence[QualityStudy]
) -> list[dict[str, Any]]:
    """Per device: rows of errors above its format table, and its trade-offs by view and batch; JSON-ready."""
    return [
        _device(results, own, views(results, own, studies))
        for results, own in zip(devices, choices, strict=True)
    ]


def _device(results: DeviceResults, choices: list[LayerChoice], own_views: list[View]) -> dict[str, Any]:
    simulated = "SIMULATED " if results.run.info.simulated else ""
    return {
        "errors": _error_rows(results, own_views),
        "timed": sorted({name for choice in choices for name in choice.schemes}),
        "base": f"{simulated}speed-up over {baseline(choices)}, all layers",
        "views": [
            {
                "name": view.name,
                "of": view.of,
                "axis": view.axis,
                "log": view.logarithmic,
                "batches": [[m, [_row(t) for t in rows]] for m, rows in tradeoffs(choices, view)],
            }
            for view in own_views
        ],
    }


def _error_rows(results: DeviceResults, own_views: list[View]) -> list[dict[str, Any]]:
    """What stands beside the speeds: losses where a study gives them, format error, worst kernel error."""
    rows: list[dict[str, Any]] = [
        {
            "name": view.name,
            "of": f"{view.of}, nats",
            "cells": {
                scheme: [[c.method or c.label, c.words] for c in own] for scheme, own in view.costs.items()
            },
        }
        for view in own_views
        if not view.logarithmic
    ]
    for name, errors in (
        ("format error", format_errors(results)),
        ("worst kernel error", kernel_errors(results)),
    ):
        if errors:
            cells = {scheme: [["", units.error(value)]] for scheme, value in errors.items()}
            rows.append({"name": name, "of": "random data", "cells": cells})
    return [*rows, *_compiler_row(results)]


def _compiler_row(results: DeviceResults) -> list[dict[str, Any]]:
    """What the run's Triton makes of each format; no row where it uses the silicon for all of them."""
    compiler, schemes = results.compiler, sorted({p.scheme for p in results.points})
    if not compiler.unused(schemes):
        return []
    verdicts = {name: compiler.verdict(name) for name in schemes}
    cells = {
        name: [["", compiler_words(compiler, v)]]
        for name, v in verdicts.items()
        if v and v.silicon is not None
    }
    return [{"name": "compiler", "of": f"triton {compiler.version}, from machine code", "cells": cells}]


def _row(entry: Tradeoff) -> list[Any]:
    """As the page names them: COST in accuracy.js. Texts are escaped there."""
    numbers = (entry.speed.median, entry.speed.low, entry.speed.high)
    costs = (entry.cost.value, entry.cost.low, entry.cost.high)
    short = [float(f"{value:.5g}") for value in (*numbers, *costs)]
    return [entry.scheme, entry.cost.label, *short, entry.cost.words, entry.behind, can_win(entry.scheme)]


def tradeoff_figure() -> go.Figure:
    """Axes of the picture; the page adds the formats of the chosen batch and cost."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(template="none", margin={"l": 70, "r": 16, "t": 16, "b": 52}, hovermode="closest")
    figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", showlegend=False)
    figure.update_layout(hoverlabel={"align": "left"}, dragmode="pan")
    figure.update_xaxes(ticksuffix="x", automargin=True, zeroline=False)
    figure.update_yaxes(automargin=True, zeroline=True)
    return figure
