"""What makes a time a candidate, and how the times of several layers add up."""

from __future__ import annotations

import dataclasses
import math

import pytest
from msgspec.structs import replace

from quantroof.analysis.device_results import device_results
from quantroof.analysis.points import Point
from quantroof.analysis.statistics import Interval
from quantroof.analysis.winner import candidate, may_win, summed, usable_lines
from quantroof.records.lines import Flag
from tests.analysis.lines import exact
from tests.analysis.test_trust import loaded
from tests.builders import ceilings, gpu_device, info, run

DEVICE = gpu_device()
TIME = Interval(100.0, 96.0, 103.0, 20)


def _point(time: Interval | None = TIME, *codes: str, disturbed: bool = False) -> Point:
    line = exact(DEVICE, "bf16", 20_000)
    (results,) = device_results([run(info([DEVICE]), [loaded(line) if disturbed else line])])
    flags = tuple(Flag(code=code, text=code) for code in codes)
    return dataclasses.replace(results.points[0], time=time, flags=flags)


@pytest.mark.parametrize(
    ("point", "may"),
    [
        (_point(), True),
        (_point(TIME, "above_roof"), True),
        (_point(TIME, "impossible"), False),
        (_point(None), False),
        (_point(Interval(100.0, 90.0, math.inf, 2)), False),
        (_point(Interval(math.inf, math.inf, math.inf, 2)), False),
    ],
)
def test_a_time_may_win_if_it_is_finite_and_possible(point: Point, *, may: bool) -> None:
    """No time, no upper limit, or one that no bound allows: it does not count."""
    assert may_win(point) is may
    assert (candidate([_point(), point]) is not None) is may


@pytest.mark.parametrize(("code", "doubtful"), [("at_roof", False), ("noisy", False), ("above_roof", True)])
def test_only_a_time_above_its_roof_is_doubtful(code: str, *, doubtful: bool) -> None:
    """In one layer of two is enough; what lies at its roof is sound."""
    found = candidate([_point(), _point(TIME, code)])

    assert found is not None
    assert found.doubtful is doubtful


def test_one_disturbed_layer_leaves_the_sum_without_a_lower_limit() -> None:
    """Alone the layer might take any time: the sum starts at 0 and is doubtful."""
    found = candidate([_point(), _point(disturbed=True)])

    assert found is not None
    assert (found.doubtful, found.time.low) == (True, 0.0)
    assert found.time.high > found.time.median == 200.0


def test_times_add_up_with_distances_in_squares() -> None:
    """3 and 4 ns below, 5 and 12 above: 5 and 13; the sum has as many samples as its poorest part."""
    times = (Interval(100.0, 97.0, 105.0, 20), Interval(50.0, 46.0, 62.0, 5))

    assert summed([_point(time) for time in times]) == Interval(150.0, 145.0, 163.0, 5)


def test_usable_lines_are_all_but_the_impossible() -> None:
    """A time within its roofs and one above them stay; one far above every bound goes."""
    within, above, far = (exact(DEVICE, "bf16", 20_000.0, m=m) for m in (1, 2, 3))
    seconds = within.bytes_moved / 3.0e12
    lines = [
        replace(line, timing=replace(line.timing, samples_ns=(seconds * 1e9 / factor,) * 9))
        for line, factor in ((within, 0.9), (above, 1.1), (far, 10.0))
        if line.timing is not None
    ]
    built = run(info([DEVICE]), [*ceilings(DEVICE, 3.0e12, {"bf16": 700e12}), *lines])

    assert [line.case for line in usable_lines(built, DEVICE)] == [within.case, above.case]
