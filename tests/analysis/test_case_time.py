"""Which interval a case gets: of processes where there are three, of samples otherwise."""

from __future__ import annotations

import math
from statistics import stdev

import pytest
from msgspec.structs import replace

from quantroof.analysis.case_time import case_time, grouped
from quantroof.records.lines import Measurement
from tests.runs import cpu_run


def _lines(centers: list[float]) -> list[Measurement]:
    first = next(m for m in cpu_run().measurements if m.timing is not None)
    assert first.timing is not None
    return [
        replace(
            first, process=i, timing=replace(first.timing, samples_ns=tuple(c + s for s in (-1, 0, 1) * 4))
        )
        for i, c in enumerate(centers)
    ]


def test_two_processes_are_pooled() -> None:
    """Two processes do not show how processes differ: their samples are pooled, and the basis is named."""
    time = case_time(_lines([100.0, 120.0]))

    assert time is not None
    assert time.basis == "samples"
    assert time.interval.samples == 24


def test_three_processes_give_the_interval_of_processes() -> None:
    """Each process is steady to 1 ns, but they differ by 20: Student's interval of three shows more still."""
    time = case_time(_lines([100.0, 110.0, 120.0]))

    assert time is not None
    assert time.basis == "processes"
    spread = stdev(map(math.log, (100.0, 110.0, 120.0))) / math.sqrt(3)
    middle = (100.0 * 110.0 * 120.0) ** (1 / 3)
    assert time.interval.median == 110.0
    assert time.interval.low == pytest.approx(middle / math.exp(4.3027 * spread), rel=1e-4)
    assert time.interval.high == pytest.approx(middle * math.exp(4.3027 * spread), rel=1e-4)


@pytest.mark.parametrize(("processes", "beyond"), [(5, True), (6, False)])
def test_six_processes_have_ranks_that_cover(processes: int, beyond: bool) -> None:
    """The interval of five reaches beyond their range; from six on ranks cover 95 %, and it is the range."""
    time = case_time(_lines([100.0, 101.0, 119.0, 120.0, 100.5, 119.5][:processes]))

    assert time is not None
    assert (time.interval.low < 100.0) is beyond


def test_the_interval_of_processes_holds_their_median() -> None:
    """Four equal processes and a slow one: the mean of logs is above the median, and both are held."""
    time = case_time(_lines([100.0, 100.0, 100.0, 100.0, 300.0]))

    assert time is not None
    assert time.interval.low <= time.interval.median <= time.interval.high


def test_one_process_gives_the_interval_of_its_samples() -> None:
    """And says that it is one of samples."""
    time = case_time(_lines([100.0]))

    assert time is not None
    assert time.basis == "samples"
    assert time.interval.high - time.interval.low <= 2.0


def test_nothing_timed_gives_nothing() -> None:
    """Skipped lines have no time."""
    skipped = [m for m in cpu_run().measurements if m.timing is None]

    assert case_time(skipped) is None


def test_lines_group_by_device_case_and_kernel() -> None:
    """Three processes of one case are one group."""
    lines = _lines([100.0, 110.0, 120.0])

    assert list(grouped(lines)) == [lines[0].key]
    assert len(grouped(lines)[lines[0].key]) == 3
