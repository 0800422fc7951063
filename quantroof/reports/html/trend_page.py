"""Trends as one HTML file with plotly inside: one line per case, a marker where its level moved."""

from __future__ import annotations

import html
from collections.abc import Sequence

from quantroof.gate.history import Trend


def trend_page(trends: Sequence[Trend], sentences: Sequence[str], *, simulated: bool) -> str:
    """The page, with a sentence per step above the lines. Names are escaped: they might hold markup."""
    import plotly.graph_objects as go

    mark = "SIMULATED: " if simulated else ""
    figure = go.Figure(
        layout={
            "title": f"{mark}time relative to the first run, anchored where the runs are",
            "hovermode": "closest",
        }
    )
    for trend in trends:
        name = html.escape(trend.label)
        text = [html.escape(f"{run} {git or ''}") for run, git in zip(trend.runs, trend.git, strict=True)]
        figure.add_scatter(x=trend.started_at, y=trend.relative, mode="lines+markers", name=name, text=text)
        if trend.changes:
            at = [point.index for point in trend.changes]
            figure.add_scatter(
                x=[trend.started_at[i] for i in at],
                y=[float(trend.relative[i]) for i in at],
                mode="markers",
                marker={"symbol": "x", "size": 14},
                name=f"change in {name}",
                text=[f"{point.change:+.1%}" for point in trend.changes],
            )
    figure.update_yaxes(title="time / time of the first run")
    page: str = figure.to_html(include_plotlyjs=True, full_html=True)
    steps = "".join(f"<p>{html.escape(sentence)}</p>" for sentence in sentences)
    return page.replace("<body>", f"<body>{steps}", 1)
