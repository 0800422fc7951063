"""Below the batch path: the share of its roof that each layer reaches."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.reports.conftest import Open
from tests.runs import gpu_run


def test_the_share_of_the_roof_stands_below_on_the_same_axis(
    built: Callable[..., Path], open_page: Open
) -> None:
    """Below the batch path stands the share of the roof per layer; other views have none."""
    seen = open_page(built("gpu", [gpu_run()]), fragment="#tab=roofline")
    axes = seen.page.evaluate(
        """["chart", "strip-chart"].map((id) => {
          const { xaxis } = document.getElementById(id)._fullLayout;
          return [...xaxis.range, xaxis._offset, xaxis._length];
        })"""
    )

    assert axes[0] == pytest.approx(axes[1], abs=0.5)
    assert seen.page.locator("#strip-chart .points path").count() > 100
    seen.page.get_by_role("button", name="all points").click()
    seen.page.wait_for_selector("#strip", state="hidden")
