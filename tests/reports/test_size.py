"""A report stays small enough to mail: plotly.js is in it once, its data are compressed columns."""

from __future__ import annotations

import base64
import gzip
import json
import re

import pytest

from quantroof.analysis.answers import answers
from quantroof.reports.html.bundle import plotly_bundle
from quantroof.reports.html.page import html
from tests.benchmarks.report_benchmark import big_run


@pytest.mark.parametrize(
    ("points", "megabytes"),
    [(500, 2.3), (5000, 2.6), pytest.param(50000, 4.0, marks=pytest.mark.slow)],
)
def test_page_keeps_its_size(points: int, megabytes: float) -> None:
    """500, 5,000 and 50,000 points with their states and errors stay below 2.3, 2.6 and 4 MB."""
    run = big_run(points)
    page = html(answers([run])).encode()

    assert 0.9 * points < len(run.measurements) < 1.1 * points
    assert len(page) <= megabytes * 1e6


def test_data_in_the_page_are_the_records() -> None:
    """Unpacked, the columns hold every measurement's time to six digits."""
    run = big_run(500)
    page = html(answers([run]))
    block = re.search(r'id="data">([^<]*)<', page)
    assert block is not None
    data = json.loads(gzip.decompress(base64.b64decode(block[1])))["data"]
    points = answers([run]).devices[0].points

    assert data["points"]["median"] == [float(f"{p.time.median:.6g}") for p in points if p.time]


def test_library_is_the_installed_one_and_stands_in_the_page_once() -> None:
    """The block unpacks to the very text of the plotly package, whose hash the content policy admits."""
    bundle = plotly_bundle()
    page = html(answers([big_run(500)]))
    blocks = re.findall(r'id="plotly">([^<]*)<', page)

    assert len(blocks) == 1
    assert gzip.decompress(base64.b64decode(blocks[0])) == bundle.text
    assert f"sha256-{bundle.sha256}" in page
