"""Measurements become points: intervals, rates, shares of roofs by size, flags."""

from __future__ import annotations

import pytest

from quantroof.analysis.device_results import bandwidth_at, device_results
from quantroof.analysis.points import frame, row
from quantroof.errors import UsageError
from tests.builders import (
    LAYERS,
    ceilings,
    cpu_device,
    gpu_device,
    info,
    measurement,
    run,
    state,
    unmeasured,
)
from tests.runs import GPU_BANDWIDTH, GPU_RATES, failures_run, gpu_run


def test_rates_follow_from_time_and_counts() -> None:
    """FLOP/s and B/s are counts over the median; the share is roof time over median."""
    device = gpu_device()
    case = measurement(device, "bf16", 1, (4096, 4096), 12_500.0, spread=0.0)
    point = device_results([run(info([device]), [*ceilings(device, GPU_BANDWIDTH, GPU_RATES), case])])[
        0
    ].points[0]
    bytes_moved = 2 * (4096 * 4096 + 4096 + 4096)
    read = 2**32 / (2**32 / GPU_BANDWIDTH + 1.5e-6)  # the largest read of the ceilings

    assert point.time is not None
    assert point.time.median == pytest.approx(12_500)
    assert point.flops_per_s == pytest.approx(2 * 4096 * 4096 / 12.5e-6)
    assert point.bytes_per_s == pytest.approx(bytes_moved / 12.5e-6)
    assert point.intensity == pytest.approx(2 * 4096 * 4096 / bytes_moved)
    assert point.roof_fraction == pytest.approx(bytes_moved / read / 12.5e-6, rel=2e-3)
    assert point.roofs.bound == "memory"


def test_roof_at_its_size_is_later_than_the_full_roof() -> None:
    """A 33 MB case is judged by the read curve at 33 MB, which carries the launch latency."""
    point = device_results([gpu_run()])[0].points[0]

    assert point.roofs.sized_roof_ns is not None
    assert point.roofs.roof_ns is not None
    assert point.roofs.sized_roof_ns - point.roofs.roof_ns == pytest.approx(1500, rel=0.2)


def test_bandwidth_between_sizes_is_exact_for_latency_plus_rate() -> None:
    """Interpolating the time reproduces size / (latency + size / rate); outside nothing is claimed."""

    def reached(size: int) -> float:
        return size / (2e-6 + size / 3e12)

    curve = [(size, reached(size)) for size in (1 << 20, 1 << 24, 1 << 28)]

    assert bandwidth_at(curve, 5_000_000) == pytest.approx(reached(5_000_000))
    assert bandwidth_at(curve, 1 << 28) == pytest.approx(reached(1 << 28))
    assert bandwidth_at(curve, 1 << 19) is None
    assert bandwidth_at(curve[:1], 1 << 20) is None


def test_held_roof_scales_the_datasheet_by_the_clock() -> None:
    """989.4 TFLOP/s at 1830 MHz is 948.8 at the 1755 MHz that was held."""
    results = device_results([gpu_run()])[0]

    assert results.held is not None
    assert results.held.matrix["bf16"] == pytest.approx(989.4e12 * 1755 / 1830)


def test_held_roof_is_that_of_the_best_clock_in_any_order() -> None:
    """Two ceilings held 1500 and 1700 MHz: the roof is at 1700, whichever came last."""
    device = gpu_device()
    slow, fast = (ceilings(device, 3e12, {"bf16": 7e14}, state=state(mhz)) for mhz in (1500.0, 1700.0))
    for lines in ([*slow, *fast], [*fast, *slow]):
        held = device_results([run(info([device]), lines)])[0].held
        assert held is not None
        assert held.matrix["bf16"] == pytest.approx(989.4e12 * 1700 / 1830)


def test_point_above_its_roof_is_flagged_and_keeps_its_share() -> None:
    """The flag says by how much; nothing is clipped."""
    points = device_results([failures_run()])[0].points
    above = [p for p in points if any(flag.code == "above_roof" for flag in p.flags)]

    assert len(above) == 1
    assert above[0].roof_fraction == pytest.approx(2.21, abs=0.02)


def test_absent_values_stay_absent_in_the_table() -> None:
    """A CPU without sensors has empty columns, not zeros; a failed case has no time."""
    device = cpu_device()
    built = run(info([device]), [measurement(device, "bf16", 1, LAYERS[0], 1e6)])
    results = device_results([built])[0]
    table = frame([row(p, "r") for p in results.points])

    assert table.loc[0, ["sm_clock_mhz", "power_w", "roof_fraction", "bound"]].isna().all()
    assert table.loc[0, "median_ns"] == pytest.approx(1e6, rel=0.02)


def test_line_of_an_unlisted_device_is_refused() -> None:
    """A measurement on a device that the header does not have is named with its file."""
    built = run(info([cpu_device()]), [measurement(gpu_device(), "bf16", 1, LAYERS[0], 1e4, state=state())])

    with pytest.raises(
        UsageError, match=r"run.jsonl: a line names device 'cuda:0', which the header does not list"
    ):
        device_results([built])


def test_a_row_has_the_time_with_its_limits_and_both_errors() -> None:
    """What exports show of a timed case: the numbers of its interval and of its check."""
    device = gpu_device()
    line = measurement(device, "bf16", 1, LAYERS[0], 12_500.0)
    (point,) = device_results([run(info([device]), [line])])[0].points
    assert point.time is not None
    assert line.accuracy is not None
    found = row(point, "r")

    assert found["low_ns"] == point.time.low < found["median_ns"] == point.time.median < found["high_ns"]
    assert (found["high_ns"], found["samples"]) == (point.time.high, 20)
    assert found["frobenius_error"] == line.accuracy.frobenius
    assert found["format_error"] == line.accuracy.format_frobenius


def test_a_row_without_a_time_and_a_check_has_none_of_their_numbers() -> None:
    """A case that crashed: its status and its reason are all there is."""
    device = gpu_device()
    line = unmeasured(device, "bf16", 1, LAYERS[0], "failed", "out of memory")
    (point,) = device_results([run(info([device]), [line])])[0].points
    found = row(point, "r")

    names = ("median_ns", "low_ns", "high_ns", "samples", "frobenius_error", "format_error", "power_w")
    assert [found[name] for name in names] == [None] * 7
    assert (found["status"], found["reason"]) == ("failed", "out of memory")
