"""The shape of a measurement's samples, as the tab Data draws it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from quantroof.analysis.answers import answers
from quantroof.reports.html import columns
from quantroof.reports.html.columns import page_data
from quantroof.reports.html.distributions import shape
from tests.reports.conftest import Open
from tests.runs import gpu_run


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([], None),
        ([5.0, 5.0], None),
        ([0.0, 12.0], "900000000009"),
        ([0.0, 0.9, 0.9, 1.1, 12.0], "930000000003"),  # three in the first bin, one in the second and last
        ([0.0] * 30 + [12.0], "900000000001"),  # 0.3 of 9 would round to nothing
    ],
)
def test_a_shape_is_a_digit_per_bin(samples: list[float], expected: str | None) -> None:
    """The fullest bin is 9, a bin with one sample is at least 1, and equal samples give None."""
    assert shape(samples) == expected


def test_rows_have_a_sparkline(built: Callable[..., Path], open_page: Open) -> None:
    """Every timed row of the first page of the table draws its samples."""
    seen = open_page(built("gpu", [gpu_run()]), fragment="#tab=data")

    assert (
        seen.page.locator("#points-table tbody tr").count() == seen.page.locator(".sparkline").count() == 40
    )


def test_a_large_page_has_no_shapes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Above the limit the column is left out: the file would grow by a third."""
    made = answers([gpu_run()])
    count = len(made.devices[0].points)

    for limit, has in ((count, True), (count - 1, False)):
        monkeypatch.setattr(columns, "SHAPES", limit)
        assert (page_data(made)["points"].get("shape") is not None) is has
