"""The shipped judgement on simulated fleets of 1,024 GPUs; docs/measured/fleet-simulation.md is longer."""

from __future__ import annotations

import numpy as np
import pytest

from quantroof.fleet.policy import Policy
from quantroof.fleet.scores import below_floor, learn_siblings, score
from tests.fleet.door_rule import WAYS, DrawnNodes, drained
from tests.fleet.simulate import BELOW, FLOOR, JUDGING, OURS, PAST, SUPERBENCH, Outcome, experiment
from tests.fleet.world import SimulatedFleet

SWEEPS = 3


@pytest.fixture(scope="module")
def outcome() -> Outcome:
    """Three sweeps on seeds of their own."""
    return experiment(JUDGING, SWEEPS)


@pytest.mark.parametrize("kind", ["memory", "cases", "throttling", "pcie", "ecc"])
def test_every_clear_defect_is_found(outcome: Outcome, kind: str) -> None:
    """A defect that noise cannot hide is flagged in every sweep."""
    assert outcome.tallies[OURS].share(kind) == 1.0


def test_healthy_gpus_are_left_alone(outcome: Outcome) -> None:
    """Under one in a thousand; the rules of other tools condemn many more, or find nothing."""
    tallies = outcome.tallies

    assert tallies[OURS].share("healthy") < 0.002  # 3,000 GPUs: 0.1 % is three of them
    assert tallies[SUPERBENCH].share("healthy") > 0.05
    assert tallies[FLOOR].share("compute") == 0


def test_slow_silicon_is_below_policy_and_slower_than_its_past(outcome: Outcome) -> None:
    """What spread hides from statistics, the floor and the GPU's own past show."""
    tallies = outcome.tallies

    assert tallies[BELOW].share("compute") >= 0.75  # 12 GPUs
    assert tallies[PAST].share("compute") >= 0.95
    assert tallies[PAST].share("healthy") < 0.001
    assert tallies[BELOW].share("healthy") < 0.002  # 3,000 GPUs; 0.05 % in the long run


def test_a_missing_class_is_no_verdict() -> None:
    """GPUs without any memory-bound case have no memory score, and no warning is raised."""
    fleet = SimulatedFleet(64, np.random.default_rng(5))
    times = fleet.sweep()
    times[:8, fleet.class_weights[:, 0] == 1] = np.nan
    siblings = learn_siblings(times, fleet.class_weights)
    found = score(times, fleet.class_weights, siblings, Policy())

    assert np.isnan(found.level[:8, 0]).all()
    assert not np.isnan(found.level[8:]).any()
    assert not below_floor(found, siblings, Policy())[:8, 0].any()


def test_the_prolog_finds_by_each_comparison_what_it_can() -> None:
    """Of 40 nodes each, -10 % compute: few by siblings alone, most by a reference of 1,024 GPUs, all by the
    own past. -10 % HBM is always found, and of 60 healthy nodes none is drained."""
    nodes = DrawnNodes(1)
    compute = [drained(nodes, way, 40, "compute") for way in WAYS]

    assert compute[0] < 20
    assert compute[1] >= 32
    assert compute[2] == 40
    assert [drained(nodes, way, 20, "HBM") for way in WAYS] == [20] * 3
    assert [drained(nodes, way, 60) for way in WAYS] == [0] * 3
