"""`--cases` of the gate: a list limits what is expected and judged, and never makes an empty pass."""

from __future__ import annotations

from datetime import date

import msgspec
import pytest

from quantroof.errors import ExitCode, UsageError
from quantroof.gate.baseline import Baseline, join_name
from quantroof.gate.check import CheckOptions, Report, check
from quantroof.gate.policy import Policy, Waiver
from quantroof.gate.times import run_times
from quantroof.records.directory import Run
from tests.gate import made


def _checked(run: Run, baseline: Baseline, only: set[str], policy: Policy | None = None) -> Report:
    options = CheckOptions(
        times=run_times(run), baseline=baseline, baseline_name="b", policy=policy or Policy(),
        policy_name="p", measure=False, only=frozenset(only),
    )  # fmt: skip
    return check(options, lambda _: None)


def _of_run_cases(now: Run, kept: set[str]) -> Run:
    """What `quantroof run --cases` records: the listed cases, under the name that it gives its suite."""
    run = made.changed(now, lambda line: line if f"{line.case} {line.kernel}" in kept else None)
    run.info = msgspec.structs.replace(run.info, suite="cases")
    return run


def test_a_run_of_a_list_is_judged_by_the_baseline_of_the_suite(now: Run, baseline: Baseline) -> None:
    """One of 18 cases: it is judged, none is missing, and waivers of others stay valid."""
    one, other, *_ = sorted(baseline.cases)
    waiver = Waiver(case=other, allow=0.1, reason="known", expires=date(2090, 1, 1))
    run = _of_run_cases(now, {one})

    report = _checked(run, baseline, {one}, Policy(waiver=(waiver,), min_roof={"bf16": 0.99}))

    assert [join_name((case.case, case.kernel)) for case in report.cases] == [one]
    assert report.exit_code == ExitCode.OK
    assert report.remarks == (
        "17 of the baseline's 18 cases: not in the list, not judged; floors are not judged",
    )
    with pytest.raises(UsageError, match="another suite: gated, and this run has cases"):
        _checked(run, baseline, set())


def test_a_listed_case_that_was_not_measured_is_missing(now: Run, baseline: Baseline) -> None:
    """A list takes nothing away from what it names."""
    one, other, *_ = sorted(baseline.cases)
    report = _checked(_of_run_cases(now, {one}), baseline, {one, other})

    assert {case.verdict for case in report.cases} == {"same", "missing"}
    assert report.exit_code == ExitCode.FINDING


def test_a_whole_run_is_judged_in_the_listed_cases_alone(now: Run, baseline: Baseline) -> None:
    """A line without a kernel means every kernel of its case."""
    case = min(baseline.cases).split()[0]
    report = _checked(now, baseline, {case})

    assert {one.case for one in report.cases} == {case}
    assert len(report.cases) == sum(name.split()[0] == case for name in baseline.cases)


def test_a_list_of_other_cases_is_no_pass(now: Run, baseline: Baseline) -> None:
    """Nothing would be judged."""
    with pytest.raises(UsageError, match="the list names no case of the baseline or the run"):
        _checked(now, baseline, {"gemm/bf16-bf16-bf16/m1-n8-k8 nowhere"})
