"""The answers about a fleet: every state and tone, and who is below the floor."""

from __future__ import annotations

import pytest

from quantroof.finding import Finding, Level
from quantroof.fleet.analysis import Analysis, GpuResult
from quantroof.fleet.collection import Population, Unit
from quantroof.fleet.conclusions import below_floor, gpu_answer, group_answer, node_answer
from quantroof.fleet.groups import GroupRow
from quantroof.fleet.policy import Policy
from tests.builders import gpu_device

POPULATION = Population("NVIDIA H100 80GB HBM3", "node", "burst", "cold", simulated=True)


def _gpu(node: str, finding: Level | None, level: float | None = 0.0) -> GpuResult:
    unit = Unit("run", "2026-11-20T09:00:00+00:00", node, gpu_device(), POPULATION)
    findings = () if finding is None else (Finding(finding, "code", f"why {node}"),)
    return GpuResult(unit, POPULATION, {"memory": level}, {}, {}, {}, 0, findings)


def _fleet(*gpus: GpuResult, groups: list[GroupRow] | None = None) -> Analysis:
    return Analysis(list(gpus), [], groups or [], [], Policy())


def test_a_fleet_with_a_bad_gpu_is_bad_whatever_was_unknown() -> None:
    """One defective GPU beside one that could not be judged: bad, and its node is named first."""
    fleet = _fleet(_gpu("n1", "degraded"), _gpu("n2", "unknown"), _gpu("n3", None))

    assert (gpu_answer(fleet).state, gpu_answer(fleet).tone) == ("degraded", "bad")
    assert gpu_answer(fleet).unknown == 1
    assert node_answer(fleet, ["n9"]).tone == "bad"
    assert [name for name, _ in node_answer(fleet, []).bad] == ["n1"]


def test_a_fleet_with_an_unknown_gpu_is_unknown() -> None:
    """One that could not be judged leaves the fleet unknown with its reason, as a burn-in leaves a node."""
    unjudged = gpu_answer(_fleet(_gpu("n1", "unknown")))

    assert (unjudged.state, unjudged.tone, unjudged.reason) == ("unknown", "unsure", "why n1")
    part = gpu_answer(_fleet(_gpu("n1", "unknown"), _gpu("n2", None)))
    assert (part.tone, part.reason) == ("unsure", "why n1")
    assert gpu_answer(_fleet(_gpu("n2", None))).tone == "good"


def test_a_node_that_never_answered_leaves_the_answer_unsure() -> None:
    """Healthy nodes alone are good; beside a silent one they are not known to be all."""
    fleet = _fleet(_gpu("n1", None))

    assert node_answer(fleet, []).tone == "good"
    assert node_answer(fleet, ["n2"]).tone == "unsure"


@pytest.mark.parametrize(
    ("differs", "tone", "compared"),
    [([], "none", False), ([False], "good", True), ([False, True], "unsure", True)],
)
def test_groups_that_differ_are_a_hint_and_not_a_fault(
    differs: list[bool], tone: str, compared: bool
) -> None:
    """No two groups give no answer, equal ones a good one, and one that differs an unsure one."""
    rows = [
        GroupRow(POPULATION, "rack", str(i), "memory", 3, 0.02, 0.01, own) for i, own in enumerate(differs)
    ]
    answer = group_answer(_fleet(groups=rows))

    assert (answer.tone, answer.compared) == (tone, compared)
    assert len(answer.differing) == sum(differs)


def test_below_the_floor_is_counted_on_the_level_itself() -> None:
    """A floor of 60 % lies beyond where a chart is cut off: 59 % counts, 61 % and an absent level do not."""
    levels = (0.5276, 0.4943, None)  # -ln 0.59, -ln 0.61
    gpus = [_gpu("n", None, level) for level in levels]

    assert below_floor(gpus, "memory", 0.6) == 1
