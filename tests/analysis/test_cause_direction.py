"""A cause must have moved, and in the direction of the change."""

from __future__ import annotations

from quantroof.analysis.cause import compare_runs
from quantroof.analysis.device_results import device_results
from quantroof.analysis.health import judge_health
from quantroof.analysis.points import case_roofs
from quantroof.analysis.roofs import Roofs
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from tests.analysis.test_cause import simulated
from tests.analysis.test_contradictions import with_sms
from tests.runs import cpu_run, gpu_run, slower


def test_a_clock_that_stayed_explains_no_speed_up() -> None:
    """Faster at the same clock: no cause, rather than a clock that rose 0.0 %."""
    base, now = simulated("+slow@0"), simulated()
    sentence = compare_runs(device_results([base]), device_results([now]), floor=0.03).summary

    assert "faster" in sentence
    assert "no cause found" in sentence


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
