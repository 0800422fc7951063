"""What the state of a measurement says about its trust, line by line."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from quantroof.analysis.statistics import Interval
from quantroof.analysis.trust import is_disturbed, trust_of
from quantroof.analysis.winner import Candidate
from quantroof.records.lines import Flag, Measurement
from tests.analysis.lines import exact
from tests.builders import cpu_device, state

LINE = exact(cpu_device(), "bf16", 1e6)


def _line(load: float | None = None, clock_mhz: float = 1755.0, *codes: str) -> Measurement:
    seen = replace(state(clock_mhz), other_load_cores=load)
    return replace(LINE, state=seen, flags=tuple(Flag(code=code, text=code) for code in codes))


@pytest.mark.parametrize(("load", "contradicts"), [(0.04, True), (0.06, False), (None, False)])
def test_a_flag_of_load_beside_an_idle_state_is_a_contradiction(
    load: float | None, *, contradicts: bool
) -> None:
    """An idle host shows up to 0.05 cores: a line flagged as loaded at 0.04 contradicts itself."""
    reasons = trust_of([_line(load, 1755.0, "foreign_load")]).reasons

    assert any("recorded as idle" in reason for reason in reasons) is contradicts


@pytest.mark.parametrize(("load", "disturbed"), [(0.14, False), (0.16, True), (None, False)])
def test_a_load_counts_without_a_flag(load: float | None, *, disturbed: bool) -> None:
    """0.15 cores of foreign work are tolerated, whoever wrote the line."""
    assert is_disturbed(_line(load)) is disturbed


def test_a_disturbance_of_unknown_size_has_no_cores() -> None:
    """A foreign process on a GPU leaves no load: the sentence has no number, and 0 is not invented."""
    trust = trust_of([_line(None, 1755.0, "foreign_process")])

    assert trust.load_cores is None
    assert trust.reasons == ("other processes used the device",)


def test_a_quota_is_named_where_other_flags_stand_beside_it() -> None:
    """A stopped thread may be flagged as noisy, too; the reason stays the quota."""
    trust = trust_of([_line(None, 1755.0, "cpu_throttled", "noisy")])

    assert trust.reasons == ("a CPU quota stopped the threads in 1 measurements",)


def test_clocks_are_the_lowest_and_the_highest() -> None:
    """Of all timed lines, in MHz."""
    assert trust_of([_line(None, clock) for clock in (1500.0, 1980.0, 1700.0)]).clock_mhz == (1500.0, 1980.0)


def test_a_candidate_is_not_doubtful_by_itself() -> None:
    """Only the roof guard makes a time doubtful; a doubtful one cannot win alone."""
    assert not Candidate(Interval(1.0, 0.9, 1.1, 20)).doubtful


@pytest.mark.parametrize(("stopped", "of", "quota"), [(1, 2, False), (2, 5, False), (2, 3, True)])
def test_a_quota_is_the_reason_where_it_stopped_most(stopped: int, of: int, *, quota: bool) -> None:
    """Of half the disturbed lines or fewer it is not: then other processes are named."""
    lines = [_line(None, 1755.0, "cpu_throttled" if i < stopped else "foreign_process") for i in range(of)]
    words = f"a CPU quota stopped the threads in {stopped} measurements"

    assert trust_of(lines).reasons == (words if quota else "other processes used the device",)


def test_a_contradiction_is_seen_beside_other_flags() -> None:
    """A line that is flagged as loaded and as noisy, on a machine that it records as idle."""
    reasons = trust_of([_line(0.0, 1755.0, "noisy", "foreign_load")]).reasons

    assert "1 measurements are flagged as disturbed and recorded as idle" in reasons


def test_widths_are_those_of_the_median_case_and_of_the_worst() -> None:
    """Three cases of 1, 2 and 5 %."""
    trust = trust_of(
        [exact(cpu_device(), "bf16", 1e6, spread=s, m=m) for m, s in ((1, 0.05), (2, 0.01), (3, 0.02))]
    )

    assert trust.median_width == pytest.approx(0.02)
    assert trust.worst_width == pytest.approx(0.05)
