"""A reference fleet and the setup of siblings on examples where one step decides."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from quantroof.fleet.collection import Collection, Population, Unit, Work
from quantroof.fleet.comparisons import ReferenceFleet, below_reference, reference_fleet
from quantroof.fleet.policy import Policy
from quantroof.fleet.preflight import preflight
from quantroof.fleet.slow_side import SlowSide
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


@pytest.mark.parametrize(
    ("drivers", "remarks"),
    [(["580.1", "570.2", "580.1"], ["2 drivers: 580.1 (2), 570.2 (1)"]), (["580.1"] * 3, [])],
)
def test_drivers_are_named_where_they_differ(drivers: list[str], remarks: list[str]) -> None:
    """Two drivers are a remark, the most frequent first; one driver is none."""
    units = [_unit(index, driver=driver) for index, driver in enumerate(drivers)]

    assert preflight(units, Policy())[1] == remarks


@pytest.mark.parametrize(("name", "level"), [("mig", "failed"), ("vbios", None)])
def test_a_setting_that_most_do_not_state_is_off_and_a_version_unknown(name: str, level: str | None) -> None:
    """One of three with MIG differs from two without; one with a VBIOS differs from nothing known."""
    units = [_unit(index) for index in range(3)]
    change = {"mig": True} if name == "mig" else {"vbios": "96.00.A5"}
    units[0].device = msgspec.structs.replace(units[0].device, **change)

    found = preflight(units, Policy())[0]

    assert [finding.level for finding in found[0]] == ([] if level is None else [level])
    assert found[1:] == [[], []]
