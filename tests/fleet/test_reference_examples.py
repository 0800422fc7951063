"""A reference fleet and the datasheet on examples where one step decides."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from quantroof.analysis.roofs import datasheet_roofs
from quantroof.fleet.collection import Collection, Population, Unit, Work
from quantroof.fleet.comparisons import (
    ReferenceFleet,
    below_datasheet,
    below_reference,
    datasheet_shares,
    read_floor,
    reference_fleet,
)
from quantroof.fleet.policy import NATURAL_SPREAD, Policy
from quantroof.fleet.slow_side import SlowSide, slow_side
from quantroof.hwprofiles.catalog import match
from tests.builders import gpu_device

POPULATION = Population("NVIDIA H100 80GB HBM3", "node", "burst", "cold", simulated=True)
CAPPED = POPULATION._replace(power_cap_w=500)
WORKS = [Work("bandwidth/read/1", "bf16", 0, 1 << 30)]
MEMORY = np.array([[1.0, 0.0]])


def _unit(index: int, population: Population = POPULATION, driver: str = "580.1") -> Unit:
    device = msgspec.structs.replace(gpu_device(index), driver=driver)
    return Unit("run", "2026-11-20T09:00:00+00:00", "node-0", device, population)


def _reference(*units: Unit) -> ReferenceFleet | None:
    """A reference whose units took 100, 110 and 500 ns."""
    indices = np.arange(len(units))
    times = (indices, np.zeros(len(units), np.intp), np.array([100.0, 110.0, 500.0])[: len(units)])
    collection = Collection(list(units), WORKS, [times])
    return reference_fleet([_unit(0)], WORKS, MEMORY, collection, collection.log_times())


def test_a_reference_is_of_other_gpus_of_the_same_population() -> None:
    """Of the judged GPU itself, another one and a capped one, only the other one's 110 ns count."""
    found = _reference(_unit(0), _unit(1), _unit(2, CAPPED))

    assert found is not None
    assert found.gpus == 1
    assert np.exp(found.center).tolist() == pytest.approx([110.0])


def test_the_center_of_a_reference_is_the_median_of_its_gpus() -> None:
    """Two GPUs at 110 and 500 ns have one center for the one case, midway in log time."""
    found = _reference(_unit(0), _unit(1), _unit(2))

    assert found is not None
    assert np.exp(found.center).tolist() == pytest.approx([math.sqrt(110 * 500)])


def test_the_level_of_a_gpu_is_that_above_its_reference() -> None:
    """121 ns are 10 % above the reference's 110 ns, whose two GPUs lie 10 % apart."""
    found = _reference(_unit(0, CAPPED), _unit(1), _unit(2))
    alike = _reference(_unit(1), _unit(2))

    assert found is not None
    assert alike is not None
    assert found.level(found.center[None] + math.log(1.1), MEMORY)[0, 0] == pytest.approx(math.log(1.1))
    apart = np.array([-0.5, 0.5]) * math.log(1.1)
    assert alike.slow[0].spread == pytest.approx(slow_side(apart, NATURAL_SPREAD["memory"]).spread)


def test_a_gpu_is_no_reference_for_itself() -> None:
    """Where the reference holds the judged GPU alone there is none."""
    assert _reference(_unit(0)) is None


@pytest.mark.parametrize(
    ("spread", "share", "grade"),
    [
        (0.001, 0.91, None),
        (0.001, 0.89, "degraded"),  # 3.7 spreads are 0.4 %, so that the site's floor of 90 % holds
        (0.05, 0.89, "note"),  # 3.7 spreads of 5 % are 18 %, so that the floor is 83 %
        (0.05, 0.82, "degraded"),
    ],
)
def test_the_floor_below_a_reference_moves_out_with_its_spread(
    spread: float, share: float, grade: str | None
) -> None:
    """Where healthy GPUs of the reference spread beyond the site's floor, a GPU within them is a note."""
    reference = ReferenceFleet(np.zeros(1), 64, (SlowSide(spread, 200),) * 2)

    found = below_reference(np.array([-math.log(share), math.nan]), reference, 8, Policy(floor=0.9))

    assert [finding.level for finding in found] == ([] if grade is None else [grade])


def test_shares_of_the_datasheet_are_of_the_largest_read_and_the_best_product() -> None:
    """Reads of 1 and 4 GB, two products of bf16, one of a format that the sheet does not have, and a case."""
    works = [
        Work("bandwidth/read/1", "bf16", 0, 10**9),
        Work("bandwidth/read/4", "bf16", 0, 4 * 10**9),
        Work("matrix/bf16/1", "bf16", 10**12, 1),
        Work("matrix/bf16/2", "bf16", 10**12, 1),
        Work("matrix/fp4/1", "fp4_of_nobody", 10**12, 1),
        Work("gemm/bf16", "bf16", 10**15, 1),
    ]
    profile = match(gpu_device())
    assert profile is not None
    roofs = datasheet_roofs(profile)
    read_s, matrix_s = 4e9 / roofs.bandwidth["read"], 1e12 / roofs.matrix["bf16"]
    seconds = np.array(
        [
            [1e-9, read_s / 0.9, matrix_s / 0.7, matrix_s / 0.8, 1.0, 1.0],
            [1e-9, np.nan, matrix_s / 0.6, matrix_s / 0.5, 1.0, 1.0],
        ]
    )
    shares = datasheet_shares([_unit(0), _unit(1)], works, np.log(seconds * 1e9))

    assert shares == [{"read": pytest.approx(0.9), "bf16": pytest.approx(0.8)}, {"bf16": pytest.approx(0.6)}]


def test_a_gpu_that_the_catalog_does_not_know_has_no_datasheet() -> None:
    """No share, and 85 % as the floor of its reads; a site's own floor holds for any GPU."""
    unit = _unit(0)
    unit.device = msgspec.structs.replace(
        unit.device, name="GPU of nobody", profile_id=None, compute_capability="1.0"
    )

    assert datasheet_shares([unit], WORKS, np.zeros((1, 1))) == [{}]
    assert datasheet_shares([], WORKS, np.zeros((0, 1))) == []
    assert read_floor([unit], Policy()) == read_floor([], Policy()) == 0.85
    assert read_floor([unit], Policy(datasheet_floor=0.5)) == 0.5
    assert read_floor([_unit(0)], Policy()) != 0.85


@pytest.mark.parametrize(("share", "findings"), [(None, 0), (0.9, 0), (0.9001, 0), (0.8999, 1)])
def test_a_read_below_its_floor_is_a_finding(share: float | None, findings: int) -> None:
    """At the floor and where nothing was read there is none."""
    assert [f.level for f in below_datasheet(share, 0.9)] == ["degraded"] * findings


@pytest.mark.parametrize(("gpus", "words"), [(1, "(1 GPU)"), (64, "(64 GPUs)")])
def test_a_reference_says_of_how_many_gpus_it_is(gpus: int, words: str) -> None:
    """And at which share of its median a class is, beside the floor."""
    reference = ReferenceFleet(np.zeros(1), gpus, (SlowSide(0.001, 200),) * 2)
    (found,) = below_reference(np.array([-math.log(0.8), 0.0]), reference, 8, Policy(floor=0.9))

    assert found.text == f"memory at 80.0% of the reference's median {words}, the floor is 90.0%"


@pytest.mark.parametrize(("share", "grade"), [(0.9005, None), (0.8995, "degraded")])
def test_the_sites_floor_is_the_least_a_reference_asks(share: float, grade: str | None) -> None:
    """Where the reference hardly spreads, just below the site's floor is a finding and just above it none."""
    reference = ReferenceFleet(np.zeros(1), 64, (SlowSide(0.001, 200),) * 2)
    found = below_reference(np.array([-math.log(share), 0.0]), reference, 8, Policy(floor=0.9))

    assert [finding.level for finding in found] == ([] if grade is None else [grade])


def test_the_spread_of_a_reference_is_that_of_deviations_and_not_of_one_case() -> None:
    """Three GPUs on cases of 1, 50 and 9000 ns: one is 30 % slower in two of them, one 10 % faster."""
    factors = np.array([[1.0, 1.0, 1.0], [1.3, 1.0, 1.3], [0.9, 1.0, 0.9]])
    works = [Work(f"bandwidth/read/{n}", "bf16", 0, 1 << 30) for n in range(3)]
    ns = (np.array([1.0, 50.0, 9000.0]) * factors).ravel()
    units, cases = (index.ravel() for index in np.indices((3, 3)))
    collection = Collection([_unit(1), _unit(2), _unit(3)], works, [(units, cases, ns)])
    found = reference_fleet([_unit(0)], works, np.array([[1.0, 0.0]] * 3), collection, collection.log_times())
    deviations = np.log([1.0, 1.3, 0.9])

    assert found is not None
    assert found.slow[0].spread == pytest.approx(slow_side(deviations, NATURAL_SPREAD["memory"]).spread)
