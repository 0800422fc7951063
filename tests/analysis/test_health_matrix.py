"""GPUs side by side: each ceiling as a change from the median of its model."""

from __future__ import annotations

import pytest

from quantroof.analysis.device_results import device_results
from quantroof.analysis.health import judge_health
from quantroof.analysis.health_matrix import health_matrix
from tests.runs import cpu_run, node_run


def test_a_slow_gpu_stands_out_from_the_median_of_its_node() -> None:
    """The GPU that is 8 % slow is 8 % under the median in every ceiling, flagged low and degraded."""
    devices = device_results([node_run(slow=5)])
    matrix = health_matrix(devices, judge_health(devices))
    slow, other = matrix.rows[5], matrix.rows[2]

    assert [name for name, _ in matrix.columns][:3] == ["read", "write", "copy"]
    assert {"clock", "power", "temperature"} <= {name for name, _ in matrix.columns}
    assert slow.cells["read"].change == pytest.approx(-0.08, abs=0.005)
    assert slow.cells["read"].low
    assert slow.verdict.state == "degraded"
    assert other.cells["read"].change == pytest.approx(0, abs=0.005)
    assert not other.cells["read"].low


def test_a_lone_device_has_values_and_no_change() -> None:
    """A device without a second one of its model has no median."""
    devices = device_results([cpu_run()])
    row = health_matrix(devices, judge_health(devices)).rows[0]

    assert row.cells["read"].value > 0
    assert all(cell.change is None for cell in row.cells.values())
