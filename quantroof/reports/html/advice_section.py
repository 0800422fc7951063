"""The advisor's section of the page: serving a model with a run's measurements, as curves."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from quantroof.advisor.advice import Advice, CurvePoint
from quantroof.advisor.estimate import Source
from quantroof.reports.html.palette import color, dash

if TYPE_CHECKING:
    import plotly.graph_objects as go


def curves_figure(advice: Advice) -> go.Figure:
    """Milliseconds per token against batch, both logarithmic; a marker's shape is the source of its time."""
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(template="none", margin={"l": 62, "r": 16, "t": 30, "b": 52}, hovermode="closest")
    figure.update_layout(paper_bgcolor="rgba(0,0,0,0)", plot_bgcolor="rgba(0,0,0,0)", showlegend=True)
    # plotly.js left the ticks of its first range on logarithmic axes that it ranged itself: give both.
    batches, times = _extent(advice)
    figure.update_xaxes(type="log", title="batch (sequences)", range=_log_range(batches))
    figure.update_xaxes(tickvals=batches, ticktext=[str(batch) for batch in batches])
    figure.update_yaxes(type="log", title="ms per token", automargin=True, range=_log_range(times))
    steps = [digit * 10.0**e for e in range(-3, 7) for digit in (1, 2, 5)]
    figure.update_yaxes(tickvals=steps, ticktext=[f"{value:g}" for value in steps])
    for curve in advice.curves:
        figure.add_trace(
            go.Scatter(
                **_trace(curve.format, f"{curve.format}, {advice.machine.count(curve.gpus)}", curve.points)
            )
        )
    if advice.request.latency_s is not None:
        figure.add_hline(y=advice.request.latency_s * 1e3, line={"dash": "dot"})
    return figure


def _extent(advice: Advice) -> tuple[list[float], list[float]]:
    """All batches, and all times in milliseconds with the target."""
    points = [point for curve in advice.curves for point in curve.points]
    times = [point.seconds * 1e3 for point in points]
    target = advice.request.latency_s
    return sorted({point.batch for point in points}), times if target is None else [*times, target * 1e3]


def _log_range(values: list[float]) -> list[float]:
    """A plotly range, in powers of ten, with room around the values."""
    if not values:
        return [0.0, 1.0]
    return [math.log10(min(values) / 1.3), math.log10(max(values) * 1.3)]


_SYMBOLS: dict[Source, str] = {
    "measured": "circle",
    "interpolated": "circle-open",
    "imported": "diamond-open",
    "modeled": "x-thin-open",
}


def _trace(scheme: str, label: str, points: tuple[CurvePoint, ...]) -> dict[str, Any]:
    times = [point.seconds * 1e3 for point in points]
    return {
        "x": [point.batch for point in points],
        "y": times,
        "mode": "lines+markers",
        "name": label,
        "line": {"width": 2, "dash": dash(scheme)},
        "marker": {"symbol": [_SYMBOLS[point.source] for point in points], "size": 7},
        "text": [
            f"{label}, batch {p.batch}: {p.seconds * 1e3:.3g} ms "
            f"({p.low * 1e3:.3g} to {p.high * 1e3:.3g}), linear layers {p.sources}"
            for p in points
        ],
        "hovertemplate": "%{text}<extra></extra>",
        "meta": {"color": color(scheme), "label": label},
    }
