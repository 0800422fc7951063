"""Where a rule of the fleet's arithmetic decides: each example gets the other verdict without it."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import msgspec
import numpy as np
import pytest

from quantroof.fleet.collection import Population, Unit
from quantroof.fleet.groups import Labels, compare_groups
from quantroof.fleet.past import change_from_past, latest_and_past
from quantroof.fleet.policy import Policy
from quantroof.fleet.scores import Scores, confirmed_by_retest, defective
from tests.builders import gpu_device

NOW = datetime(2026, 11, 21, tzinfo=UTC)
POPULATION = Population("NVIDIA H100 80GB HBM3", "node", "burst", "cold", simulated=True)


def _unit(run_id: str, started_at: str, node: str = "node-0") -> Unit:
    return Unit(run_id, started_at, node, gpu_device(0), POPULATION)


def test_a_certain_slowdown_under_the_least_effect_is_not_a_defect() -> None:
    """2.9 % and 3.1 % slower with p = 1e-9: only the second is a defect, for under 3 % nobody replaces a
    GPU."""
    level = np.array([[-np.log(1 - 0.029), 0.0], [-np.log(1 - 0.031), 0.0]])
    p = np.array([[1e-9, 0.5, 1.0], [1e-9, 0.5, 1.0]])
    scores = Scores(level, np.zeros((2, 4), dtype=bool), p)

    assert defective(scores, Policy())[:, 0].tolist() == [False, True]


def test_half_of_the_slow_cases_must_be_slow_again() -> None:
    """Of four slow cases two confirm the finding in a second measurement, one does not."""
    first = np.array([[True, True, True, True, False]] * 2)
    again = np.array([[True, True, False, False, True], [True, False, False, False, True]])
    level, p = np.zeros((2, 2)), np.ones((2, 3))
    confirmed = confirmed_by_retest(Scores(level, first, p), Scores(level, again, p), Policy())

    assert confirmed[:, 2].tolist() == [True, False]


def test_a_run_with_a_wrong_clock_is_not_part_of_the_past() -> None:
    """A run dated 1970 may be later than any other: it is left out of the past, and named."""
    units = [_unit("lost", "1970-01-01T00:00:00+00:00"), _unit("old", "2026-11-01T00:00:00+00:00")]
    history = latest_and_past([*units, _unit("new", "2026-11-20T00:00:00+00:00")], NOW)

    assert history.latest == [2]
    assert history.past == {2: [1]}
    assert len(history.problems) == 1


@pytest.mark.parametrize(("gpus", "slower"), [(7, True), (8, False)])
def test_what_changed_for_the_whole_fleet_is_no_defect_of_a_gpu(gpus: int, slower: bool) -> None:
    """5 % slower on each of eight GPUs is a driver or a season and subtracted; seven are too few to know."""
    log_ns = np.full((gpus, 4), np.log(1.05))
    weights = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    _, since_past = change_from_past(log_ns, np.zeros((gpus, 4)), weights, Policy())

    assert (since_past == slower).all()


def test_one_unlikely_group_among_many_attributes_is_chance() -> None:
    """Of forty attributes that mean nothing some have p < 0.05 and none differs; a rack 5 % slower does."""
    source = random.Random(1)
    nodes = [f"node-{n}" for n in range(24)]
    labels: Labels = {node: {f"a{n}": source.choice("xy") for n in range(40)} for node in nodes}
    for number, node in enumerate(nodes):
        labels[node]["rack"] = "r1" if number < 6 else "r2"

    def rows(slow: float) -> list[tuple[str, float, bool]]:
        noise = random.Random(4)
        gpus = []
        for number, node in enumerate(nodes):
            unit = _unit("run", "2026-11-20T00:00:00+00:00", node)
            device = msgspec.structs.replace(unit.device, driver=None, vbios=None)
            unit = Unit(unit.run_id, unit.started_at, node, device, POPULATION)
            level: dict[str, float | None] = {"memory": noise.gauss(0, 0.01) + slow * (number < 6)}
            gpus.append((unit, POPULATION, level))
        return [(row.attribute, row.p, row.differs) for row in compare_groups(gpus, labels)]

    assert min(p for _, p, _ in rows(0.0)) < 0.05
    assert not any(differs for _, _, differs in rows(0.0))
    assert {name for name, _, differs in rows(0.05) if differs} == {"rack"}
