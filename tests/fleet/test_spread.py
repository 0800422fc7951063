"""The floor follows what healthy GPUs spread: few, many, skewed, heavy-tailed, of two groups, capped."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pytest

from quantroof.analysis.distributions import t_quantile
from quantroof.fleet.analysis import Analysis, analyze
from quantroof.fleet.gather import gather
from quantroof.fleet.policy import NATURAL_SPREAD, Policy
from quantroof.fleet.slow_side import slow_side
from quantroof.hwprofiles.types import Device
from tests.fleet.healthy import SHAPES, TUNING, fleets, lone_nodes
from tests.fleet.runs import node_run, stored

SHARE = Policy().healthy_share
COMPUTE = NATURAL_SPREAD["compute"]


def test_the_limit_is_close_for_a_normal_fleet_and_far_for_a_heavy_one() -> None:
    """Of 1,024 GPUs the limit lies near 3.2 spreads if they are normal, beyond 4.5 with heavy tails."""
    random = np.random.default_rng(1)
    normal = slow_side(random.normal(0, COMPUTE, 1024), COMPUTE).limit(SHARE) / COMPUTE
    heavy = slow_side(random.standard_t(4, 1024) * COMPUTE, COMPUTE).limit(SHARE) / COMPUTE

    assert 2.9 < normal < 3.6
    assert heavy > 4.5


def test_defects_do_not_move_the_limit() -> None:
    """Eight GPUs of 1,024 that are 10 % slow leave the limit within a tenth of what it was."""
    levels = np.random.default_rng(2).normal(0, COMPUTE, 1024)
    before = slow_side(levels, COMPUTE).limit(SHARE)
    levels[:8] += 0.105

    assert slow_side(levels, COMPUTE).limit(SHARE) == pytest.approx(before, rel=0.1)


@pytest.mark.parametrize("gpus", [1, 8, 127])
def test_few_gpus_are_given_a_heavy_tail(gpus: int) -> None:
    """With fewer than 128 GPUs nothing is known of the tail: the limit lies beyond 5 spreads."""
    levels = np.random.default_rng(3).normal(0, COMPUTE, gpus)

    assert slow_side(levels, COMPUTE).limit(SHARE) > 5 * COMPUTE


def test_the_share_of_a_reference_is_that_of_nodes() -> None:
    """Of 1,024 normal GPUs the slowest of eight lies 0.6 spreads further out than one alone; an assumed tail
    is far enough out already."""
    random = np.random.default_rng(4)
    many = slow_side(random.normal(0, COMPUTE, 1024), COMPUTE)
    few = slow_side(random.normal(0, COMPUTE, 127), COMPUTE)

    assert (many.limit_among(SHARE, 8) - many.limit(SHARE)) / COMPUTE == pytest.approx(0.6, abs=0.1)
    assert many.limit_among(SHARE, 1) == many.limit(SHARE)
    assert few.limit_among(SHARE, 8) == few.limit(SHARE) > many.limit_among(SHARE, 8)


def test_tails_as_heavy_as_t4_are_taken_as_heavier() -> None:
    """Of 40 fleets of 1,024 GPUs with tails of t(4), the mean limit lies beyond the true quantile."""
    random = np.random.default_rng(5)
    limits = [slow_side(random.standard_t(4, 1024) * COMPUTE, COMPUTE).limit(SHARE) for _ in range(40)]

    assert np.mean(limits) > t_quantile(SHARE, 4) * COMPUTE


@pytest.mark.parametrize("shape", SHAPES)
def test_healthy_lone_nodes_stay_ok(shape: str) -> None:
    """At most one of 64 nodes of eight is called other than ok, however its silicon spreads."""
    assert lone_nodes(shape, TUNING, 64).bad["node"] <= 1


def test_a_slower_vbios_is_named_and_its_gpus_are_not_bad() -> None:
    """Of a fleet in which 30 % of nodes have a VBIOS that is 4 % slower, no group's healthy GPUs are bad, and
    slow memory is found in both."""
    counted = fleets("normal", TUNING, 1, slower_by=0.04)
    healthy = [kind for kind in counted.judged if kind.endswith("healthy")]

    assert len(healthy) == 2
    assert all(counted.bad[kind] <= 2 for kind in healthy)
    assert all(counted.share(kind) == 1 for kind in counted.judged if kind.endswith("memory"))


def _judged(folder: Path, change: Callable[[str, Device], Device], speed: float, nodes: int = 2) -> Analysis:
    """Nodes of eight whose capped GPUs have this share of the compute rate."""

    def slower(device: Device, node: str) -> tuple[float, float]:
        return 1.0, speed if (change(node, device).power_limit_w or 0) < 700 else 1.0

    runs = [
        node_run(name, slower, change=partial(change, name)) for name in (f"node-{n}" for n in range(nodes))
    ]
    return analyze(gather(stored(folder, runs)), Policy())


def test_a_power_cap_that_many_have_is_a_property(tmp_path: Path) -> None:
    """Half of the GPUs run at 500 W, 15 % slower: all are ok, each half compared within itself."""

    def capped(node: str, device: Device) -> Device:
        return msgspec.structs.replace(device, power_limit_w=500.0 if node == "node-1" else 700.0)

    found = _judged(tmp_path, capped, 0.85)

    assert {gpu.state for gpu in found.gpus} == {"ok"}
    assert sorted(kind.population.power_cap_w or 0 for kind in found.populations) == [0, 500]
    assert any("limited to 500 W" in str(kind.population) for kind in found.populations)


def test_a_power_cap_of_one_gpu_is_a_finding(tmp_path: Path) -> None:
    """One GPU of sixteen at 500 W is degraded for its cap, and not failed."""

    def capped(node: str, device: Device) -> Device:
        odd = (node, device.index) == ("node-1", 3)
        return msgspec.structs.replace(device, power_limit_w=500.0 if odd else 700.0)

    bad = _judged(tmp_path, capped, 0.85).bad

    assert [(gpu.unit.label, gpu.state, gpu.findings[0].code) for gpu in bad] == [
        ("node-1 cuda:3", "degraded", "power_cap")
    ]


def test_a_cap_that_was_set_between_two_runs_leaves_one_gpu(tmp_path: Path) -> None:
    """A GPU that ran uncapped last month and capped now is judged once, and its past is not compared."""

    def at(watts: float) -> Callable[[Device], Device]:
        return lambda device: msgspec.structs.replace(device, power_limit_w=watts)

    runs = [
        node_run("node-0", started="2026-10-20T09:00:00+00:00", change=at(700.0)),
        node_run("node-0", lambda *_: (1.0, 0.8), seed=1, change=at(500.0)),
    ]
    found = analyze(gather(stored(tmp_path, runs)), Policy())

    assert [gpu.state for gpu in found.gpus] == ["ok"] * 8
    assert {gpu.past["compute"] for gpu in found.gpus} == {None}


def test_a_gpu_below_the_sites_floor_within_the_spread_is_a_note(tmp_path: Path) -> None:
    """7 % slower on a lone node of eight: ok with a note; 15 % slower: degraded by the floor."""

    def slow(by: float) -> Callable[[Device, str], tuple[float, float]]:
        return lambda device, _node: (1.0, by if device.index == 2 else 1.0)

    states = {}
    for by in (0.93, 0.85):
        names = stored(tmp_path / str(by), [node_run("node-0", slow(by))])
        gpu = next(g for g in analyze(gather(names), Policy()).gpus if g.unit.device.index == 2)
        states[by] = (gpu.state, {finding.code for finding in gpu.findings})

    assert states[0.93] == ("ok", {"compute_low"})
    assert states[0.85] == ("degraded", {"compute", "compute_floor"})


def test_a_group_beyond_the_floor_excuses_nobody(tmp_path: Path) -> None:
    """Four nodes of eight with a VBIOS that is 12 % slower: the group is named, its GPUs are degraded."""

    def flashed(name: str) -> Callable[[Device], Device]:
        return lambda d: msgspec.structs.replace(d, vbios="B" if int(name[5:]) >= 12 else "A")

    def slow(_device: Device, node: str) -> tuple[float, float]:
        return (1.0, 0.88) if int(node[5:]) >= 12 else (1.0, 1.0)

    names = [f"node-{n}" for n in range(16)]
    runs = [node_run(name, slow, gpus=4, change=flashed(name)) for name in names]
    found = analyze(gather(stored(tmp_path, runs)), Policy())

    assert {row.value for row in found.groups if row.differs} == {"A", "B"}
    assert sum(gpu.bad for gpu in found.gpus) >= 14
