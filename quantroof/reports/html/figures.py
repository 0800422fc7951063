"""Figures of the page, built here with plotly; the page fills in the points that its controls select."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from html import escape
from typing import TYPE_CHECKING, Any

from quantroof import units
from quantroof.analysis.device_results import DeviceResults, bandwidth_curve
from quantroof.analysis.roofs import Roofs
from quantroof.hwprofiles import roofline
from quantroof.reports.html import palette

if TYPE_CHECKING:
    import plotly.graph_objects as go

INTENSITY = "FLOP per byte of DRAM traffic"
DASHES = {"measured": "solid", "datasheet": "dash", "held": "dot"}
BASES = {
    "measured": "measured here",
    "datasheet": "datasheet",
    "held": "datasheet at the clock that was held",
}
STATES = {
    "clock": ("sm_clock_mhz", "MHz", "SM clock (MHz)"),
    "power": ("power_w", "W", "power (W)"),
    "temperature": ("temperature_c", "°C", "temperature (°C)"),
}
"""Column of the page: field of DeviceState, unit, and name."""
_MARGIN = {"l": 62, "r": 16, "t": 30, "b": 52}


def figures(devices: list[DeviceResults]) -> dict[str, Any]:
    """All figures of a page as plotly JSON: roofline, share of the roof, bandwidth by size, device state."""
    built = {
        "rate": roofline_figure(devices),
        "share": share_figure(devices),
        "bandwidth": bandwidth_figure(devices),
        "state": state_figure(devices),
    }
    return {name: as_json(figure) for name, figure in built.items()}


def as_json(figure: go.Figure) -> Any:
    """A figure as the plain data that plotly.js reads."""
    return json.loads(figure.to_json())


def roofline_figure(devices: list[DeviceResults]) -> go.Figure:
    """Log-log roofline: one line per ceiling of every device and basis, to which the page adds points.

    A trace's `meta` names its ceiling, so that the page can show, hide and label it.
    """
    import plotly.graph_objects as go

    figure = go.Figure(layout=_layout(go))
    low, high = intensity_range(devices)
    _intensity_axis(figure, low, high)
    figure.update_yaxes(type="log", automargin=True, title="FLOP/s (integer ops included)")
    figure.update_yaxes(**_decades(1e3, 1e18, lambda value: units.si(value, "FLOP/s", 1)))
    for index, results in enumerate(devices):
        bases = {"measured": results.measured, "datasheet": results.datasheet, "held": results.held}
        top = max((rate for roofs in bases.values() if roofs for rate in roofs.matrix.values()), default=None)
        for basis, roofs in bases.items():
            if roofs is not None:
                visible = {
                    "subject": index,
                    "label": results.label,
                    "basis": basis,
                    "source": _source(results, basis),
                }
                _add_roofs(figure, visible, roofs, top, low, high)
    return figure


def _source(results: DeviceResults, basis: str) -> str:
    """What a roof of a device rests on, in words."""
    if basis == "measured" and results.run.info.simulated:
        return "simulated"
    if basis == "datasheet" and results.profile is not None and results.profile.origin == "derived":
        return "derived by formula"
    return BASES[basis]


def share_figure(devices: list[DeviceResults]) -> go.Figure:
    """Share of the measured roof against intensity; the roof is the line at 1."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=_layout(go))
    _intensity_axis(figure, *intensity_range(devices))
    figure.update_yaxes(
        automargin=True, title="share of the measured roof", tickformat=".0%", rangemode="tozero"
    )
    figure.add_hline(y=1, line={"width": 1.5})
    return figure


def bandwidth_figure(devices: list[DeviceResults]) -> go.Figure:
    """Measured bandwidth against bytes moved: what small cases can reach at all."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=_layout(go))
    figure.update_xaxes(type="log", dtick=1, title="bytes moved", exponentformat="SI", ticksuffix="B")
    figure.update_yaxes(
        automargin=True, title="bytes per second", exponentformat="SI", ticksuffix="B/s", rangemode="tozero"
    )
    for index, results in enumerate(devices):
        for name in ("read", "write", "copy"):
            curve = bandwidth_curve(results.ceilings, name)
            if len(curve) < 2:  # one size is not a curve
                continue
            what = f"{escape(results.label, quote=False)} {name}"
            figure.add_trace(
                go.Scatter(
                    x=[size for size, _ in curve], y=[reached for _, reached in curve], mode="lines+markers",
                    text=[f"{what} of {units.size(size)}: {units.si(rate, 'B/s')}" for size, rate in curve],
                    hovertemplate="%{text}<extra></extra>", meta={"subject": index, "name": name},
                )
            )  # fmt: skip
    return figure


def state_figure(devices: list[DeviceResults]) -> go.Figure:
    """The reported states of the devices over the run, stacked on one axis; the page adds the traces."""
    import plotly.graph_objects as go

    figure = go.Figure(layout=_layout(go))
    reported = reported_states(devices)
    figure.update_xaxes(
        title="case, in the order of the run", anchor=f"y{max(1, len(reported))}".replace("y1", "y")
    )
    for index, name in enumerate(reported):
        top = 1 - index / len(reported)
        axis = {
            "title": STATES[name][1],
            "domain": [top - 0.86 / len(reported), top],
            "nticks": 4,
            "automargin": True,
        }
        figure.update_layout({f"yaxis{index + 1 if index else ''}": axis})
        figure.add_trace(
            go.Scatter(x=[], y=[], yaxis=f"y{index + 1 if index else ''}", meta={"column": name})
        )
    return figure


def reported_states(devices: list[DeviceResults]) -> list[str]:
    """Columns of device state that any measurement reports."""
    states = [p.measurement.state for results in devices for p in results.timed if p.measurement.state]
    return [
        name for name, (field, _, _) in STATES.items() if any(getattr(s, field) is not None for s in states)
    ]


def intensity_range(devices: list[DeviceResults]) -> tuple[float, float]:
    """Intensities from a third of the least point to three times the greatest ridge or point."""
    measured = [p.intensity for results in devices for p in results.timed if p.intensity > 0]
    ridges = [
        roofline.ridge_point(max(roofs.matrix.values()), bandwidth)
        for results in devices
        for roofs in (results.measured, results.datasheet)
        if roofs is not None and roofs.matrix and (bandwidth := roofs.read_bandwidth())
    ]
    intensities = [*measured, *ridges] or [1.0, 100.0]
    return min(intensities) / 3, max(intensities) * 3


def _layout(go: Any) -> Any:
    return go.Layout(
        template="none",
        margin=_MARGIN,
        showlegend=False,
        hovermode="closest",
        dragmode="pan",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left"},
    )


def _intensity_axis(figure: go.Figure, low: float, high: float) -> None:
    figure.update_xaxes(type="log", title=INTENSITY, **_decades(low / 10, high * 10, "{:g}".format))


def _decades(low: float, high: float, text: Callable[[float], str]) -> dict[str, Any]:
    """One tick a power of ten: plotly's own SI ticks end at tera."""
    values = [10.0**e for e in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]
    return {"tickmode": "array", "tickvals": values, "ticktext": [text(value) for value in values]}


def _add_roofs(
    figure: go.Figure, visible: dict[str, Any], roofs: Roofs, top: float | None, low: float, high: float
) -> None:
    """The memory roof up to the highest ridge, and a flat roof per matrix rate from its own ridge on.

    Where a basis has no matrix rate of its own, `top`, the device's highest, ends its memory roof.
    """
    bandwidth = roofs.read_bandwidth()
    peak = max(roofs.matrix.values(), default=top)
    if bandwidth is not None:
        end = min(roofline.ridge_point(peak, bandwidth), high) if peak else high
        text = units.si(bandwidth, "B/s")
        meta = {**visible, "quantity": "bandwidth", "name": "read", "rate": bandwidth, "text": text}
        _add_line(figure, (low, end), (low * bandwidth, end * bandwidth), meta)
    for name, reached in sorted(roofs.matrix.items(), key=lambda item: -item[1]):
        start = roofline.ridge_point(reached, bandwidth) if bandwidth else low
        meta = {
            **visible,
            "color": palette.color(name),
            "quantity": "matrix",
            "name": name,
            "rate": reached,
            "text": units.si(reached, "FLOP/s"),
        }
        _add_line(figure, (min(max(start, low), high), high), (reached, reached), meta)


def _add_line(
    figure: go.Figure, x: tuple[float, float], y: tuple[float, float], meta: dict[str, Any]
) -> None:
    import plotly.graph_objects as go

    what = f"{escape(meta['label'], quote=False)}: {meta['name']} roof, {meta['source']}, {meta['text']}"
    steps = 24  # plotly shows a hover text at vertices only
    figure.add_trace(
        go.Scatter(
            x=[x[0] * (x[1] / x[0]) ** (i / steps) for i in range(steps + 1)],
            y=[y[0] * (y[1] / y[0]) ** (i / steps) for i in range(steps + 1)],
            mode="lines", line={"dash": DASHES[meta["basis"]], "width": 2},
            hovertext=what, hoverinfo="text", meta=meta,  # a template finds texts in lists only
        )
    )  # fmt: skip
