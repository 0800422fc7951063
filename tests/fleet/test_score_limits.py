"""Scores by hand: one case on each side of every limit, and what an absent value must not become."""

from __future__ import annotations

import math

import numpy as np
import pytest

from quantroof.analysis.distributions import MAX_FREEDOM, Array, t_quantile
from quantroof.fleet.collection import Population, Unit, Work
from quantroof.fleet.groups import GroupRow, Labels, compare_groups
from quantroof.fleet.policy import Policy
from quantroof.fleet.scores import (
    Scores,
    Siblings,
    below_floor,
    class_levels,
    class_weights,
    confirmed_by_retest,
    defective,
    expected_below,
    learn_siblings,
    nanmedian,
    score,
)
from quantroof.fleet.slow_side import SlowSide
from tests.builders import gpu_device

MEMORY, COMPUTE, RIDGE = [1.0, 0.0], [0.0, 1.0], [0.5, 0.5]
NAN = math.nan


def _siblings(cases: int, case_spread: float = 0.02) -> Siblings:
    """Siblings whose cases may be slower by three of their spreads."""
    side = SlowSide(0.01, 5)
    return Siblings(np.zeros(cases), np.zeros(2), (side, side), np.full(cases, case_spread), 3.0)


def _slow(cases: list[float], siblings: Siblings, weights: list[list[float]] | None = None) -> list[bool]:
    found = score(np.array([cases]), np.array(weights or [MEMORY] * len(cases)), siblings, Policy())
    return [bool(one) for one in found.slow_cases[0]]


def test_one_gpu_has_the_widest_usual_spread_in_every_case() -> None:
    """2 %, that of compute: which cases a lone GPU is slow in is not known."""
    assert learn_siblings(np.ones((1, 3)), np.array([MEMORY] * 3)).case_spread.tolist() == [0.02] * 3


def test_the_limit_of_a_fleet_is_nearly_normal() -> None:
    """300 GPUs have more degrees of freedom than Student's t is kept for."""
    siblings = learn_siblings(np.zeros((300, 2)), np.array([MEMORY] * 2))

    assert siblings.case_limit == pytest.approx(t_quantile(0.005, MAX_FREEDOM))


@pytest.mark.parametrize(("by", "slow"), [(0.059, False), (0.061, True)])
def test_a_case_is_slow_beyond_its_limit(by: float, *, slow: bool) -> None:
    """Three spreads of 2 %, on a GPU whose other cases agree with their class."""
    assert _slow([by, 0.0, 0.0, 0.0, 0.0], _siblings(5)) == [slow, False, False, False, False]


@pytest.mark.parametrize(("by", "slow"), [(0.030, False), (0.031, True)])
def test_a_case_is_not_slow_below_the_least_effect(by: float, *, slow: bool) -> None:
    """Three spreads of 0.5 % are 1.5 %: the site's 3 % are more."""
    assert _slow([by, 0.0, 0.0, 0.0, 0.0], _siblings(5, 0.005))[0] is slow


@pytest.mark.parametrize(("by", "slow"), [(0.17, False), (0.19, True)])
def test_a_gpu_whose_cases_vary_more_has_a_wider_limit(by: float, *, slow: bool) -> None:
    """The quartiles of eight cases lie 6 % apart about the middle ones: 0.08094 / 1.349 is three spreads."""
    others = [-0.04047, -0.04047, -0.04047, 0.0, 0.0, 0.04047, 0.04047]
    quartiles = np.quantile([*others, by], [0.25, 0.75])

    assert (quartiles[1] - quartiles[0]) / 1.349 / 0.02 == pytest.approx(3.0, abs=1e-3)
    assert _slow([*others, by], _siblings(8))[-1] is slow


def test_a_case_near_the_ridge_is_held_against_both_classes() -> None:
    """Memory 20 % and compute 10 % slower: a case of both is as expected at 15 %, and slow at 22 %."""
    weights = [MEMORY] * 3 + [COMPUTE] * 3 + [RIDGE] * 2
    slow = _slow([0.2] * 3 + [0.1] * 3 + [0.15, 0.22], _siblings(8), weights)

    assert slow == [False] * 7 + [True]


def test_a_case_near_the_ridge_is_not_judged_without_one_of_its_classes() -> None:
    """Where no compute-bound case was measured nothing is expected of it, however slow it is."""
    found = score(
        np.array([[0.0, 0.0, NAN, 5.0]]), np.array([MEMORY, MEMORY, COMPUTE, RIDGE]), _siblings(4), Policy()
    )

    assert not found.slow_cases.any()
    assert np.isnan(found.level[0]).tolist() == [False, True]
    assert np.isnan(found.p[0]).tolist() == [False, True, False]


def test_a_gpu_without_cases_has_no_chance_to_be_slow_in_them() -> None:
    """Nothing measured: no level, and no p of any test."""
    found = score(np.array([[NAN, NAN], [0.0, 0.0]]), np.array([MEMORY, COMPUTE]), _siblings(2), Policy())

    assert np.isnan(found.p).tolist() == [[True] * 3, [False] * 3]
    assert found.p[1, 2] == 1.0


def test_levels_are_relative_to_the_middle_of_the_siblings() -> None:
    """The middle GPU of three is at zero in each class, the others as far off as they are."""
    times = np.array([[1.0, 5.0], [1.1, 5.3], [1.3, 5.5]])
    weights = np.array([MEMORY, COMPUTE])
    siblings = learn_siblings(times, weights)

    assert score(times, weights, siblings, Policy()).level == pytest.approx(
        np.array([[-0.1, -0.3], [0.0, 0.0], [0.2, 0.2]])
    )


def test_a_level_is_relative_to_the_middle_of_its_class() -> None:
    """Siblings that were learned elsewhere lie 10 % and 20 % above the centers of their cases."""
    side = SlowSide(0.01, 5)
    siblings = Siblings(np.array([1.0, 2.0]), np.array([0.1, 0.2]), (side, side), np.full(2, 0.02), 3.0)
    found = score(np.array([[1.15, 2.15]]), np.array([MEMORY, COMPUTE]), siblings, Policy())

    assert found.level[0] == pytest.approx([0.05, -0.05])


def _scores(levels: Array, p: Array, slow_cases: Array | None = None) -> Scores:
    slow = np.zeros((len(levels), 4), bool) if slow_cases is None else slow_cases.astype(bool)
    return Scores(levels, slow, p)


@pytest.mark.parametrize(("p", "found"), [(0.0009, True), (0.0011, False)])
def test_a_defect_is_rarer_than_one_healthy_gpu_in_a_thousand(p: float, *, found: bool) -> None:
    """By itself, whatever the rate of false discoveries allows; cases and classes alike."""
    scores = _scores(np.array([[0.1, NAN]]), np.array([[p, NAN, p]]), np.eye(1, 4))

    assert defective(scores, Policy())[0].tolist() == [found, False, found]


def test_a_rare_gpu_among_many_tests_is_no_discovery() -> None:
    """One p of 0.0009 is expected of 1,000 healthy GPUs: 15 % of false discoveries asks 0.15 / 1,000."""
    levels, p = np.full((1000, 2), 0.1), np.full((1000, 3), NAN)
    p[:, 0] = np.linspace(0.0009, 1.0, 1000)
    certain = p.copy()
    certain[0, 0] = 0.00014

    assert not defective(_scores(levels, p), Policy()).any()
    assert defective(_scores(levels, certain), Policy())[:, 0].sum() == 1


def test_the_floor_of_the_site_holds_where_healthy_gpus_spread_less() -> None:
    """5 % by the site's default; in a class that spreads by 5 % one healthy GPU of a thousand is slower."""
    tight, wide = SlowSide(0.001, 200), SlowSide(0.05, 200)
    siblings = Siblings(np.zeros(1), np.zeros(2), (tight, wide), np.zeros(1), 3.0)
    floor = -math.log(Policy().floor)
    far = t_quantile(1e-3, 200) * 0.05

    assert siblings.floors(Policy()) == pytest.approx([floor, far])
    levels = np.array([[floor + 0.001, far + 0.001], [floor - 0.001, far - 0.001], [NAN, NAN]])
    assert below_floor(_scores(levels, levels), siblings, Policy()).tolist() == [
        [True] * 2,
        [False] * 2,
        [False] * 2,
    ]
    assert expected_below(siblings, Policy()) == pytest.approx([0.0, 1e-3], abs=1e-9)


@pytest.mark.parametrize(("again", "confirmed"), [(0.030, False), (0.031, True), (NAN, False)])
def test_a_class_must_be_slow_again_by_the_least_effect(again: float, *, confirmed: bool) -> None:
    """3 % in the second measurement too; a class that was not measured again confirms nothing."""
    first, second = (_scores(np.array([[level, 0.0]]), np.ones((1, 3))) for level in (0.1, again))

    assert confirmed_by_retest(first, second, Policy())[0].tolist() == [confirmed, False, False]


@pytest.mark.parametrize(
    ("first", "again", "confirmed"), [(1, 1, True), (1, 0, False), (3, 1, False), (3, 2, True)]
)
def test_of_few_slow_cases_half_is_one_or_two(first: int, again: int, *, confirmed: bool) -> None:
    """One of one and two of three are slow again; none of one and one of three are not enough."""
    rows = [_scores(np.zeros((1, 2)), np.ones((1, 3)), np.tri(1, 4, n - 1)) for n in (first, again)]

    assert confirmed_by_retest(rows[0], rows[1], Policy())[0, 2] == confirmed


@pytest.mark.parametrize(("part", "memory_bound"), [(0.126, False), (0.124, True)])
def test_an_eighth_of_the_largest_transfer_tells_the_bandwidth(part: float, *, memory_bound: bool) -> None:
    """It moves at twice the rate of the largest: by its rate the other case computes half of its time, and by
    that of the largest one third less than it moves."""
    works = [
        Work("largest", "bf16", 0, 10**9),
        Work("quick", "bf16", 0, int(part * 10**9)),
        Work("rate", "bf16", 10**12, 10**3),
        Work("case", "bf16", 2 * 10**11, 5 * 10**8),
    ]
    times = np.log([1e6, part * 1e6 / 2, 1e6, 1e6])

    assert (class_weights(works, times)[3].tolist() == MEMORY) is memory_bound


def test_an_element_that_computes_nothing_is_bound_by_memory() -> None:
    """A copy of fp8 does no operations, so its class is memory. An empty list has no weights."""
    works = [Work("copy", "fp8_e4m3", 0, 10**9), Work("square", "bf16", 10**12, 10**8)]

    assert class_weights(works, np.log([1e6, 1e6])).tolist() == [MEMORY, COMPUTE]
    assert class_weights([], np.empty(0)).shape == (0, 2)


def test_the_level_of_a_class_is_the_median_of_its_own_cases() -> None:
    """What lies near the ridge counts for neither class, and a class without cases is absent."""
    deviation = np.array([[0.1, 0.2, 0.6, 9.0]])

    assert class_levels(deviation, np.array([MEMORY] * 3 + [RIDGE]))[0].tolist() == pytest.approx(
        [0.2, NAN], nan_ok=True
    )


def test_a_median_leaves_out_what_is_absent() -> None:
    """Over rows and columns, of arrays with absent values, without them, and without anything."""
    whole, part = np.array([[1.0, 2.0, 6.0], [3.0, 5.0, 7.0]]), np.array([[1.0, NAN, 6.0], [3.0, 5.0, NAN]])

    assert nanmedian(whole, 0).tolist() == [2.0, 3.5, 6.5]
    assert nanmedian(whole, 1).tolist() == [2.0, 5.0]
    assert nanmedian(part, 0).tolist() == [2.0, 5.0, 6.0]
    assert nanmedian(part, 1).tolist() == [3.5, 4.0]
    assert nanmedian(np.empty((0, 3)), 0).shape == (3,)
    assert np.isnan(nanmedian(np.empty((2, 0)), 1)).tolist() == [True, True]


def test_many_slow_cases_leave_no_negative_chance() -> None:
    """40 of 240 cases: a p of zero and not below it, whatever the sum is rounded to."""
    found = score(np.array([[*[0.0] * 200, *[1.0] * 40]]), np.array([MEMORY] * 240), _siblings(240), Policy())

    assert found.slow_cases.sum() == 40
    assert 0.0 <= found.p[0, 2] < 1e-12


def _groups(levels: dict[str, list[float]]) -> list[GroupRow]:
    """Racks of nodes with one GPU each, at these levels."""
    population = Population("NVIDIA H100 80GB HBM3", "node", "burst", "cold", simulated=True)
    gpus: list[tuple[Unit, Population, dict[str, float | None]]] = []
    labels: Labels = {}
    for rack, own in levels.items():
        for number, level in enumerate(own):
            node = f"{rack}-{number}"
            unit = Unit("run", "2026-11-20T09:00:00+00:00", node, gpu_device(), population)
            gpus.append((unit, population, {"memory": level}))
            labels[node] = {"rack": rack}
    return [row for row in compare_groups(gpus, labels) if row.attribute == "rack"]


@pytest.mark.parametrize(("nodes", "rest", "compared"), [(3, 3, 2), (2, 4, 0), (4, 2, 0)])
def test_a_group_and_its_rest_are_three_nodes_or_more(nodes: int, rest: int, compared: int) -> None:
    """Two nodes do not make a group, nor a rest to compare with."""
    assert len(_groups({"a": [0.0] * nodes, "b": [0.0] * rest})) == compared


def test_the_smaller_group_sets_the_freedom() -> None:
    """Three nodes against five: t of 2 degrees of freedom by hand, 1 - t / sqrt(2 + t^2)."""
    rows = _groups({"a": [0.0, 0.01, 0.02], "b": [0.03, 0.04, 0.05, 0.06, 0.07]})
    spreads = (0.01 / 1.349, 0.02 / 1.349)
    t = 0.04 / (1.2533 * math.sqrt(spreads[0] ** 2 / 3 + spreads[1] ** 2 / 5))

    assert [row.difference for row in rows] == pytest.approx([-0.04, 0.04])
    assert [row.p for row in rows] == pytest.approx([1 - t / math.sqrt(2 + t * t)] * 2)


@pytest.mark.parametrize(("gap", "differs"), [(0.0315, False), (0.034, True)])
def test_groups_differ_at_a_rate_of_false_discoveries_of_five_percent(gap: float, *, differs: bool) -> None:
    """Two racks of five nodes about 1 % apart: p is 0.055 at the smaller gap and 0.044 at the larger one."""
    nodes = [0.0, 0.01, 0.02, 0.03, 0.04]
    rows = _groups({"a": nodes, "b": [level + gap for level in nodes]})

    assert [0.04 < row.p < 0.06 for row in rows] == [True, True]
    assert [row.differs for row in rows] == [differs] * 2


def test_groups_that_differ_come_first_and_the_largest_difference_of_them() -> None:
    """Of three racks two differ from the others; the third is as fast as the middle."""
    rows = _groups(
        {
            "same": [0.0, 0.001, 0.05],
            "slow": [0.1, 0.101, 0.102, 0.103],
            "fast": [-0.2, -0.201, -0.202, -0.203],
        }
    )

    assert [row.differs for row in rows] == sorted((row.differs for row in rows), reverse=True)
    sizes = [abs(row.difference) for row in rows if row.differs]
    assert sizes == sorted(sizes, reverse=True)
    assert len(sizes) >= 2
