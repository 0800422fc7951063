"""A cause must have moved, and in the direction of the change."""

from __future__ import annotations

import pytest

from quantroof.analysis.cause import ChangeGroup, change_groups, compare_runs
from quantroof.analysis.device_results import device_results
from quantroof.analysis.health import judge_health
from quantroof.analysis.points import case_roofs
from quantroof.analysis.roofs import Roofs
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.directory import Run
from tests.analysis.test_cause import simulated
from tests.analysis.test_contradictions import with_sms
from tests.runs import cpu_run, gpu_run, repeated, slower


def test_a_clock_that_stayed_explains_no_speed_up() -> None:
    """Faster at the same clock: no cause, rather than a clock that rose 0.0 %."""
    base, now = simulated("+slow@0"), simulated()
    sentence = compare_runs(device_results([base]), device_results([now]), floor=0.03).summary

    assert "faster" in sentence
    assert "no cause found" in sentence


def test_unchanged_cases_are_one_group_and_two_directions_are_two() -> None:
    """A tenth of a percent up or down is unchanged alike; 50 % slower and 30 % faster stand apart."""
    thrice, once = repeated(gpu_run()), gpu_run()
    alike = _groups(thrice, _moved(thrice, 1.001, 0.999))
    apart = _groups(once, _moved(once, 1.5, 0.7))

    assert sorted((one.bound, one.verdict) for one in alike) == [
        ("compute-bound", "same"), ("memory-bound", "same"),
    ]  # fmt: skip
    assert sorted((one.formats, round(one.ratio, 2)) for one in apart if one.verdict == "differs") == [
        (("bf16",), 1.5), (("bf16",), 1.5), (("fp8-w8a8",), 0.7), (("fp8-w8a8",), 0.7),
    ]  # fmt: skip


def _moved(base: Run, bf16: float, fp8: float) -> Run:
    """A later run with torch's kernels of two formats slower or faster."""
    return slower(
        slower(base, bf16, scheme="bf16", provider="torch"), fp8, scheme="fp8-w8a8", provider="torch"
    )


def _groups(base: Run, now: Run) -> list[ChangeGroup]:
    return change_groups(compare_runs(device_results([base]), device_results([now])))


@pytest.mark.parametrize("side", ["base", "now", "neither"])
def test_a_ceiling_of_one_run_explains_nothing(side: str) -> None:
    """Memory that became 8 % slower is named where both runs measured it, and not where one did not."""
    base, now = simulated(), simulated("+memory@0")
    runs = [
        Run(one.path, one.info, [] if side == name else one.ceilings, one.anchors, one.measurements, one.ends)
        for name, one in (("base", base), ("now", now))
    ]
    sentence = compare_runs(device_results(runs[:1]), device_results(runs[1:]), floor=0.03).summary

    assert ("the DRAM read ceiling fell" in sentence) is (side == "neither")


def test_the_same_number_of_threads_explains_nothing() -> None:
    """On a CPU, whose thread count is known on both sides."""
    base = cpu_run()
    now = slower(base, 1.5, scheme="bf16", provider="torch")
    sentence = compare_runs(device_results([base]), device_results([now])).summary

    assert "threads" not in sentence


def test_a_simulated_device_does_not_contradict_its_profile() -> None:
    """Its figures are the profile's; a remark on them would be about ourselves."""
    run = with_sms(gpu_run(simulated=True), 130)
    assert not any("SMs" in text for text in judge_health(device_results([run])).remarks)


def test_a_bound_is_the_datasheets_where_no_ceiling_was_measured() -> None:
    """Without measured roofs the datasheet decides; with them they do."""
    case = Case.linear(SCHEMES["bf16"], 1, 4096, 4096)
    none = Roofs("measured", bandwidth={}, matrix={})
    sheet = Roofs("measured", bandwidth={"read": 3e12}, matrix={"bf16": 1e15})
    slow = Roofs("measured", bandwidth={"read": 3e12}, matrix={"bf16": 1e9})

    assert case_roofs(case, none, sheet, None).bound == "memory"
    assert case_roofs(case, slow, sheet, None).bound == "compute"
    assert case_roofs(case, none, None, None).bound is None
