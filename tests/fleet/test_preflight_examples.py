"""The setup of siblings on examples where one step decides: what most have in common, and what one has."""

from __future__ import annotations

import msgspec
import pytest

from quantroof.fleet.policy import Policy
from quantroof.fleet.preflight import preflight
from tests.fleet.test_reference_examples import _unit


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


def test_a_node_of_two_drivers_has_no_usual_one() -> None:
    """Two GPUs of four are not most of them: neither driver is the odd one; of three of four, one is."""
    even, odd = (["580.1", "580.1", "570.2", "570.2"], ["580.1", "580.1", "580.1", "570.2"])
    units = {
        name: [_unit(i, driver=one) for i, one in enumerate(own)]
        for name, own in (("even", even), ("odd", odd))
    }

    assert preflight(units["even"], Policy())[0] == [[]] * 4
    assert [len(found) for found in preflight(units["odd"], Policy())[0]] == [0, 0, 0, 1]
    assert preflight(units["odd"], Policy())[0][3][0].level == "note"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("ecc", False, "ECC is off, on most siblings on"),
        ("max_sm_clock_mhz", 1500, "its highest SM clock is 1500 MHz, on most siblings 1980 MHz"),
        ("driver", "570.2", "driver is 570.2, on most siblings 580.1"),
        ("driver", None, None),
    ],
)
def test_a_setting_that_differs_is_named_beside_the_usual_one(
    field: str, value: object, words: str | None
) -> None:
    """With its unit where it has one; what a GPU does not state is not a difference."""
    units = [_unit(index) for index in range(3)]
    units[1].device = msgspec.structs.replace(units[1].device, **{field: value})
    found = preflight(units, Policy())[0]

    assert [f.text for f in found[1] if f.code == f"{field}_unlike"] == ([] if words is None else [words])
    assert found[0] == found[2] == []


def test_a_lone_gpu_has_nothing_in_common_with_siblings() -> None:
    """A cap of its own is a finding, and a kernel that failed says nothing of other GPUs."""
    unit = _unit(0)
    unit.device = msgspec.structs.replace(unit.device, power_limit_w=500.0)
    unit.failed = 2
    found, remarks = preflight([unit], Policy())

    assert [(finding.level, finding.code) for finding in found[0]] == [
        ("note", "power_cap"),
        ("failed", "kernels_failed"),
    ]
    assert found[0][1].text == "2 kernels failed here"
    assert remarks == []


def test_two_gpus_have_in_common_what_both_show() -> None:
    """A kernel that failed on one of two ran on the other; on both, it is the kernel's fault."""
    units = [_unit(0), _unit(1)]
    units[0].failed = 1
    one = preflight(units, Policy())
    units[1].failed = 1

    assert [[f.text for f in found] for found in one[0]] == [
        ["1 kernel failed here but ran on the other GPUs"],
        [],
    ]
    assert preflight(units, Policy()) == ([[], []], ["on most GPUs: kernels failed on 2 of 2"])


@pytest.mark.parametrize(("failing", "own", "remarks"), [(1, 1, 0), (2, 1, 0), (3, 0, 1)])
def test_a_kernel_that_fails_on_most_gpus_is_a_remark(failing: int, own: int, remarks: int) -> None:
    """Up to half of four GPUs it is the finding of each; beyond, the kernel is at fault and not they."""
    units = [_unit(index) for index in range(4)]
    for unit in units[:failing]:
        unit.failed = 1
    found, said = preflight(units, Policy())

    assert [len(findings) for findings in found] == [own] * failing + [0] * (4 - failing)
    assert [f.text for f in found[0]] == ["1 kernel failed here but ran on the other GPUs"] * own
    assert said == [f"on most GPUs: kernels failed on {failing} of 4"] * remarks


@pytest.mark.parametrize(
    ("capped", "odd", "levels"),
    [(1, False, ["note"]), (1, True, ["degraded"]), (3, False, []), (3, True, ["degraded"])],
)
def test_a_power_cap_is_a_property_unless_it_is_odd(capped: int, odd: bool, levels: list[str]) -> None:
    """A cap that most have is a remark; an odd one is a finding of each GPU that has it."""
    units = [_unit(index) for index in range(4)]
    for unit in units[:capped]:
        unit.device = msgspec.structs.replace(unit.device, power_limit_w=500.0)
    found, remarks = preflight(units, Policy(), odd_cap=odd)

    assert [finding.level for finding in found[0]] == levels
    assert found[3] == []
    assert [remark.startswith("on most GPUs: the power limit is 500 W") for remark in remarks] == [True] * (
        not levels
    )


@pytest.mark.parametrize(
    ("rows", "slow", "foreign", "codes"),
    [
        (100, 5, 10, []),
        (100, 6, 11, ["throttling", "busy"]),
        (1, 1, 0, ["throttling"]),
        (0, 0, 0, []),
    ],
)
def test_a_twentieth_may_throttle_and_a_tenth_be_disturbed(
    rows: int, slow: int, foreign: int, codes: list[str]
) -> None:
    """Beyond it the GPU is degraded, or was not idle; without any line there is nothing to say."""
    unit = _unit(0)
    unit.rows, unit.faulty_clock, unit.foreign = rows, slow, foreign

    assert [finding.code for finding in preflight([unit], Policy())[0][0]] == codes


def test_of_many_drivers_nine_are_named() -> None:
    """The most frequent ones; the number of all comes first."""
    drivers = [f"{500 + index}.1" for index in range(10)]
    units = [_unit(index, driver=driver) for index, driver in enumerate([*drivers, *drivers[:9]])]
    (remark,) = preflight(units, Policy())[1]

    assert remark.startswith("10 drivers: ")
    assert remark.count("(2)") == 9
    assert "(1)" not in remark
