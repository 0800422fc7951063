"""Scores, groups and labels on examples where one step decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantroof.analysis.distributions import t_tail
from quantroof.errors import UsageError
from quantroof.fleet.collection import Population, Unit, Work
from quantroof.fleet.groups import GroupRow, Labels, compare_groups, read_labels
from quantroof.fleet.policy import Policy
from quantroof.fleet.scores import Siblings, class_weights, learn_siblings, score
from quantroof.fleet.slow_side import SlowSide, slow_side
from tests.builders import gpu_device

MEMORY = np.array([[1.0, 0.0]] * 4)


def test_two_gpus_have_a_spread_of_their_own() -> None:
    """One GPU has the usual spread for every case; two that agree have less."""
    times = np.array([[1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]])

    assert (learn_siblings(times, MEMORY).case_spread < learn_siblings(times[:1], MEMORY).case_spread).all()


def test_a_case_that_one_gpu_lacks_is_no_wider() -> None:
    """Four GPUs agree on four cases, of which the last lacks one: what is absent deviates by nothing."""
    times = np.array([[10.0, 11.0, 12.0, 13.0]] * 4)
    times[3, 0] = np.nan

    assert learn_siblings(times, MEMORY).case_spread.max() < 1e-3


def test_the_limit_of_two_gpus_has_seven_degrees_of_freedom() -> None:
    """Six of the prior and one of two GPUs: Student's t is beyond 3.499 once in 200."""
    assert learn_siblings(np.ones((2, 4)), MEMORY).case_limit == pytest.approx(3.499, abs=1e-3)


@pytest.mark.parametrize(("gpus", "learned"), [(127, False), (128, True)])
def test_the_tail_is_learned_from_128_gpus_on(gpus: int, *, learned: bool) -> None:
    """Fewer do not show how heavy it is: a heavy one is assumed, of 5 degrees of freedom."""
    levels = np.linspace(-0.02, 0.02, gpus)

    assert (slow_side(levels, 0.01).freedom != 5) is learned


def test_a_read_from_a_cache_is_no_bandwidth() -> None:
    """1 MB at 10 TB/s lies in a cache, so that 1 GB at 2 TB/s is the roof: 0.8 GB take 0.4 ms there and their
    products 0.1 ms, one fifth of both. By the cache's rate it would be more than half, and near the ridge, as
    0.2 GB with the same products are.
    """
    works = [
        Work("in a cache", "bf16", 0, 10**6),
        Work("read", "bf16", 0, 10**9),
        Work("square", "bf16", 10**12, 10**8),
        Work("flat", "bf16", 10**11, 8 * 10**8),
        Work("ridge", "bf16", 10**11, 2 * 10**8),
    ]
    median_ns = np.array([1e2, 5e5, 1e6, 6e5, 3e5])

    weights = class_weights(works, np.log(median_ns))

    assert weights.tolist() == [[1, 0], [1, 0], [0, 1], [1, 0], [0.5, 0.5]]


def test_two_slow_cases_of_a_hundred_are_chance() -> None:
    """Each is slow by chance once in 200, two or more of 100 with 1 - 0.995^100 - 0.5 x 0.995^99 = 9 %."""
    log_ns = np.zeros((1, 100))
    log_ns[0, :2] = 1.0
    siblings = Siblings(np.zeros(100), np.zeros(2), (SlowSide(0.01, 5),) * 2, np.full(100, 0.01), 3.0)

    scores = score(log_ns, np.array([[1.0, 0.0]] * 100), siblings, Policy())

    assert scores.slow_cases.sum() == 2
    assert scores.p[0, 2] == pytest.approx(0.08982, abs=1e-5)


@pytest.mark.parametrize("freedom", [4, 7, 8])
def test_a_tail_between_two_is_taken_as_the_heavier(freedom: int) -> None:
    """Levels midway between those of two neighboring t distributions get the one with the heavier tail."""
    tails, x = (np.arange(5_000) + 0.5) / 10_000, np.linspace(0, 30, 3_001)
    heavier, lighter = (np.interp(tails, t_tail(x, f)[::-1], x[::-1]) for f in (freedom, freedom + 1))
    slow = (heavier + lighter) / 2

    assert slow_side(np.concatenate([-slow, slow]), 1.0).freedom == freedom


def _racks(levels: tuple[float, ...]) -> list[GroupRow]:
    """Nodes of one GPU each at these levels, the first three in one rack and the others in another."""
    population = Population("NVIDIA H100 80GB HBM3", "node", "burst", "cold", simulated=True)
    gpus: list[tuple[Unit, Population, dict[str, float | None]]] = []
    labels: Labels = {}
    for number, level in enumerate(levels):
        node = f"node-{number}"
        unit = Unit("run", "2026-11-20T09:00:00+00:00", node, gpu_device(), population)
        gpus.append((unit, population, {"memory": level}))
        labels[node] = {"rack": "r1" if number < 3 else "r2"}
    return compare_groups(gpus, labels)


def test_two_groups_of_three_nodes_have_two_degrees_of_freedom() -> None:
    """Racks of 0, 1, 2 % and 3, 4, 5 %: t = 3 % / (1.2533 x 0.605 %) = 3.955, and of Student's t with two
    degrees of freedom 1 - t / sqrt(2 + t^2) = 5.8 % lie beyond: with one it would be 16 %.
    """
    rows = _racks((0.0, 0.01, 0.02, 0.03, 0.04, 0.05))

    assert [(row.attribute, row.nodes) for row in rows] == [("rack", 3)] * 2
    assert [row.p for row in rows] == pytest.approx([0.0584] * 2, abs=1e-4)


@pytest.mark.parametrize(("other", "differs"), [(0.02, False), (0.03, True)])
def test_groups_without_spread_differ_by_anything(other: float, *, differs: bool) -> None:
    """Three nodes at 2 % each: three more at 2 % are no other group, three at 3 % certainly are."""
    rows = _racks((0.02,) * 3 + (other,) * 3)

    assert [row.differs for row in rows] == [differs] * 2
    assert [row.p for row in rows] == [0.0 if differs else 1.0] * 2


def test_labels_leave_out_what_is_empty(tmp_path: Path) -> None:
    """A node without a rack is in no rack, rather than in the one with an empty name."""
    file = tmp_path / "labels.csv"
    file.write_text("node,rack,cooling\na,r1,water\nb,,air\n")

    assert read_labels(file) == {"a": {"rack": "r1", "cooling": "water"}, "b": {"cooling": "air"}}


@pytest.mark.parametrize("text", ["", "rack,cooling\nr1,water\n"], ids=["empty", "no node"])
def test_labels_without_nodes_are_refused(text: str, tmp_path: Path) -> None:
    """An empty file has no header at all."""
    file = tmp_path / "labels.csv"
    file.write_text(text)
    with pytest.raises(UsageError, match="the header has no column 'node'"):
        read_labels(file)
