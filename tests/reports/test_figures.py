"""The figures of a page before a browser draws them."""

from __future__ import annotations

from quantroof.analysis.answers import answers
from quantroof.reports.html.figures import bandwidth_figure, roofline_figure
from tests.runs import gpu_run


def test_a_hover_template_has_a_list_of_texts() -> None:
    """Plotly finds no single text for `%{text}`: it would show `-` over a roof and warn in the console."""
    devices = answers([gpu_run()]).devices
    roofs, curves = roofline_figure(devices).data, bandwidth_figure(devices).data

    assert all(isinstance(trace.text, tuple) for trace in (*roofs, *curves) if trace.hovertemplate)
    assert all(trace.hoverinfo == "text" and trace.hovertext for trace in roofs)
