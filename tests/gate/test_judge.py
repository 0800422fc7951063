"""Verdicts case by case: the screen, the second measurement, what is missing, waived or not comparable."""

from __future__ import annotations

import time
from datetime import date

import msgspec
import numpy as np
import pytest

from quantroof.errors import ExitCode, UsageError
from quantroof.gate import baseline as files
from quantroof.gate.baseline import Baseline
from quantroof.gate.criteria import Criteria, Verdicts
from quantroof.gate.floors import apply_floors
from quantroof.gate.judge import Screening, apply_waivers, screen_run
from quantroof.gate.policy import Policy, Threshold, Waiver
from quantroof.gate.second import (
    verdicts_after_ab,
    verdicts_after_remeasuring,
    verdicts_unmeasured,
)
from quantroof.gate.verdicts import VERDICTS, counts, exit_code, worst_first
from quantroof.records.directory import Run
from quantroof.records.lines import Flag, Measurement
from tests.gate import made

_KEY = ("gemm/bf16-bf16-bf16/m16-n4096-k4096", "torch.linear")
_TODAY = date(2026, 11, 21)


def _is(line: Measurement, key: tuple[str, str] = _KEY) -> bool:
    return (line.case, line.kernel) == key


def _slowed(run: Run, share: float) -> Run:
    return made.changed(run, lambda line: made.slower(line, share) if _is(line) else line)


def _criteria(baseline: Baseline, policy: Policy | None = None) -> Criteria:
    return Criteria.of(baseline, policy or Policy(), made.PAIRS)


def _screened(baseline: Baseline, run: Run, policy: Policy | None = None) -> Screening:
    return screen_run(_criteria(baseline, policy), made.times(run))


def _after_ab(
    baseline: Baseline, run: Run, pairs: np.ndarray | None, policy: Policy | None = None
) -> Verdicts:
    """All verdicts after an A/B of the one suspect, with `pairs` or without any."""
    criteria, screening = _criteria(baseline, policy), _screened(baseline, run, policy)
    measured = {} if pairs is None else {_KEY: pairs}
    return screening.verdicts | verdicts_after_ab(criteria, screening, [_KEY], measured)


def _pairs(change: float, spread: float = 0.004, pairs: int = 10) -> np.ndarray:
    """Differences with a center and a spread, the same in every run of the test."""
    return change + spread * np.linspace(-1.5, 1.5, pairs)


def test_unchanged_code_passes_and_says_what_it_could_have_seen(baseline: Baseline, now: Run) -> None:
    """Every case passes, with its change inside its interval and the smallest slowdown it would show."""
    verdicts = _screened(baseline, now).verdicts

    assert counts(verdicts.values()) == {"same": 18}
    for result in verdicts.values():
        assert result.low is not None
        assert result.change is not None
        assert result.high is not None
        assert result.low < result.change < result.high
        assert 0.005 < (result.detectable or 0) < 0.03


def test_a_slow_case_is_only_suspected_by_the_screen(baseline: Baseline, now: Run) -> None:
    """5 % on one case makes it the one suspect, and no verdict yet fails."""
    screening = _screened(baseline, _slowed(now, 0.05))
    verdicts = screening.verdicts | verdicts_unmeasured(screening)

    assert screening.suspects == [_KEY]
    assert verdicts[_KEY].verdict == "undecided"
    assert exit_code(verdicts.values(), allow_undecided=False) is ExitCode.UNDECIDED
    assert exit_code(verdicts.values(), allow_undecided=True) is ExitCode.OK


@pytest.mark.parametrize(
    ("change", "spread", "verdict"),
    [(0.05, 0.004, "slower"), (0.0, 0.004, "same"), (0.02, 0.05, "undecided"), (0.006, 0.004, "same")],
)
def test_the_pairs_decide(baseline: Baseline, now: Run, change: float, spread: float, verdict: str) -> None:
    """Clear pairs confirm, pairs about zero clear the case, wide ones decide nothing; 0.6 % is under the
    threshold."""
    result = _after_ab(baseline, _slowed(now, 0.05), _pairs(change, spread))[_KEY]

    assert result.verdict == verdict
    assert result.stage == "A/B"


def test_a_faster_case_is_confirmed_and_does_not_fail(baseline: Baseline, now: Run) -> None:
    """An improvement is measured again like a slowdown, reported, and exits 0."""
    verdicts = _after_ab(baseline, _slowed(now, -0.05), _pairs(-0.05))

    assert verdicts[_KEY].verdict == "faster"
    assert exit_code(verdicts.values(), allow_undecided=False) is ExitCode.OK


def test_a_side_that_could_not_measure_leaves_it_open(baseline: Baseline, now: Run) -> None:
    """A suspect without pairs is undecided, never a pass."""
    assert _after_ab(baseline, _slowed(now, 0.05), None)[_KEY].verdict == "undecided"


def test_a_second_run_of_the_same_code_fails_nothing_without_a_base(baseline: Baseline, now: Run) -> None:
    """Measured again as slow it is undecided, because the machine may be slow; as before it passes."""
    slow = _slowed(now, 0.05)
    criteria, screening = _criteria(baseline), _screened(baseline, slow)
    as_slow = verdicts_after_remeasuring(criteria, screening, [_KEY], made.times(slow))
    as_before = verdicts_after_remeasuring(criteria, screening, [_KEY], made.times(now))

    assert as_slow[_KEY].verdict == "undecided"
    assert "without a base build" in as_slow[_KEY].reason
    assert exit_code(as_slow.values(), allow_undecided=False) is ExitCode.UNDECIDED
    assert as_before[_KEY].verdict == "same"


def test_a_case_that_looked_faster_fails_where_the_pairs_are_slower(baseline: Baseline, now: Run) -> None:
    """The screen only suspects: pairs that are all 5 % slower confirm a slowdown whatever it thought."""
    verdicts = _after_ab(baseline, _slowed(now, -0.05), _pairs(0.05))

    assert verdicts[_KEY].verdict == "slower"


def test_a_kernel_that_is_the_bases_own_never_fails(baseline: Baseline, now: Run) -> None:
    """Slow twice with the source of the base: undecided, and it points at the machine."""
    slow = _slowed(now, 0.05)
    verdicts = verdicts_after_remeasuring(
        _criteria(baseline),
        _screened(baseline, slow),
        [_KEY],
        made.times(slow),
        same_source=frozenset([_KEY]),
    )

    assert verdicts[_KEY].verdict == "undecided"
    assert "look at the machine" in verdicts[_KEY].reason


def test_a_missing_case_fails_and_a_new_one_does_not(baseline: Baseline, now: Run) -> None:
    """A renamed kernel is both, and the missing side names what it may be called now."""
    renamed = made.changed(now, lambda x: msgspec.structs.replace(x, kernel="torch.linear2") if _is(x) else x)
    verdicts = _screened(baseline, renamed).verdicts

    assert counts(verdicts.values()) == {"missing": 1, "new": 1, "same": 17}
    assert f"renamed to {_KEY[0]} torch.linear2?" in verdicts[_KEY].reason
    assert exit_code(verdicts.values(), allow_undecided=True) is ExitCode.FINDING


def test_a_case_that_failed_is_missing_with_its_reason(baseline: Baseline, now: Run) -> None:
    """A kernel that computes wrongly has no time: the reason is the kernel's own."""

    def break_it(line: Measurement) -> Measurement:
        if not _is(line):
            return line
        return msgspec.structs.replace(line, status="incorrect", reason="NaN in the output", timing=None)

    result = _screened(baseline, made.changed(now, break_it)).verdicts[_KEY]

    assert result.verdict == "missing"
    assert result.reason == "incorrect: NaN in the output"


def test_too_few_processes_or_a_moving_clock_are_not_comparable(baseline: Baseline, now: Run) -> None:
    """Two processes are too few; a clock that moved in most processes forbids a verdict on the case."""
    flag = Flag(code="clock_moved", text="it moved")
    few = made.changed(now, lambda x: None if _is(x) and x.process >= 2 else x)
    moved = made.changed(now, lambda x: msgspec.structs.replace(x, flags=(flag,)) if _is(x) else x)

    for run, words in ((few, "2 processes"), (moved, "clock moved")):
        result = _screened(baseline, run).verdicts[_KEY]
        assert result.verdict == "not comparable"
        assert words in result.reason


def test_floors_and_thresholds_keep_small_things_small(baseline: Baseline, now: Run) -> None:
    """3 % is not suspected below the absolute floor, and is not a regression where a glob allows 10 %."""
    slow = _slowed(now, 0.03)
    absolute = Policy(threshold=(Threshold(case="gemm/bf16*/m16-*", absolute_ns=1e6),))
    relative = Policy(threshold=(Threshold(case="* torch.linear", relative=0.10),))

    assert _screened(baseline, slow, absolute).suspects == []
    assert _after_ab(baseline, slow, _pairs(0.03), relative)[_KEY].verdict == "same"


def test_a_waiver_excuses_up_to_what_it_allows(baseline: Baseline, now: Run) -> None:
    """5 % is waived by 8 % with the reason in the verdict, and not by 2 %."""
    for allow, verdict in ((0.08, "waived"), (0.02, "slower")):
        waiver = Waiver(
            case="gemm/*", allow=allow, reason="cuBLAS 13.1", expires=date(2027, 1, 15), issue="#77"
        )
        policy = Policy(waiver=(waiver,))
        verdicts = _after_ab(baseline, _slowed(now, 0.05), _pairs(0.05), policy)
        result = apply_waivers(verdicts, policy)[_KEY]
        assert result.verdict == verdict
        assert ("cuBLAS 13.1 (#77)" in result.reason) is (verdict == "waived")


@pytest.mark.parametrize(
    ("glob", "expires", "words"),
    [("gemm/*", date(2026, 11, 20), "expired on 2026-11-20"), ("gem/*", date(2027, 1, 1), "matches no case")],
)
def test_expired_and_unused_waivers_are_errors(
    baseline: Baseline, glob: str, expires: date, words: str
) -> None:
    """Each has its own message, before anything is judged."""
    policy = Policy(waiver=(Waiver(case=glob, allow=0.1, reason="old story", expires=expires),))

    with pytest.raises(UsageError, match=words):
        policy.require_current(baseline.bands(), _TODAY, "gate.toml")


def test_a_floor_under_the_roof_holds_whatever_the_baseline_says(baseline: Baseline, now: Run) -> None:
    """The simulated kernels reach 75 to 98 % of the measured roof: 70 % holds, 99 % fails the best."""
    verdicts = _screened(baseline, now).verdicts
    above = apply_floors(verdicts, made.times(now), {"bf16": 0.70}, _criteria(baseline))
    failed = apply_floors(verdicts, made.times(now), {"bf16": 0.99}, _criteria(baseline))

    assert counts(above.values()) == {"same": 18}
    below = [result for result in failed.values() if result.verdict == "slower"]
    assert len(below) == 3
    assert all("the floor is 99.0%" in result.reason for result in below)
    with pytest.raises(UsageError, match="no case of that format"):
        apply_floors(verdicts, made.times(now), {"fp4": 0.5}, _criteria(baseline))


def test_the_worst_comes_first(baseline: Baseline, now: Run) -> None:
    """The order of every list is that of the verdicts."""
    verdicts = _after_ab(baseline, _slowed(now, 0.05), _pairs(0.05))
    ranks = [VERDICTS.index(result.verdict) for result in worst_first(verdicts.values())]

    assert ranks == sorted(ranks)
    assert ranks[0] == 0


@pytest.mark.alone
def test_a_thousand_cases_are_judged_in_a_second_from_a_small_file() -> None:
    """1,000 cases: the file is under 300 kB and reads back the same; judging takes under 1 s."""
    learned = made.learned([made.made_up(seed, 1000) for seed in range(5)])
    text = files.text_of(learned)
    run = made.times(made.made_up(50, 1000))
    started = time.perf_counter()
    criteria = _criteria(learned)
    screening = screen_run(criteria, run)
    pairs = {key: _pairs(0.0) for key in screening.suspects}
    verdicts = screening.verdicts | verdicts_after_ab(criteria, screening, screening.suspects, pairs)
    elapsed = time.perf_counter() - started

    assert len(verdicts) == 1000
    assert elapsed < 1.0
    assert len(text.encode()) < 300_000
    assert files.parse(text.encode(), "x") == learned
