"""Live cross-check: a device against its catalog entry and against itself."""

from __future__ import annotations

from typing import Any

import pytest

from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.checks import cross_check
from quantroof.hwprofiles.clock_events import ClockEvent, faults, words
from quantroof.hwprofiles.types import PcieLink
from tests.hwprofiles.boards import gpu

NARROW = PcieLink(generation=5, width=8, max_generation=5, max_width=16)
SLOW = PcieLink(generation=1, width=16, max_generation=5, max_width=16)
H100 = catalog.profile("h100-sxm5-80gb")


def test_a_sound_h100_contradicts_nothing() -> None:
    """A device as the catalog describes it draws no remark."""
    assert cross_check(gpu(), H100) == ()


@pytest.mark.parametrize(
    ("changes", "code", "level", "numbers"),
    [
        ({"sm_count": 130}, "sm_count", "warning", ("130", "132")),
        ({"memory_bytes": 64 << 30}, "memory_size", "warning", ("68.7", "80")),
        ({"memory_bus_bits": 4096}, "bus_width", "warning", ("4096", "5120")),
        ({"max_memory_clock_mhz": 1593}, "memory_clock", "warning", ("1593", "5.24")),
        ({"power_limit_w": 500.0}, "power_cap", "warning", ("500", "700")),
        ({"power_limit_w": 500.0, "default_power_limit_w": 500.0}, "power_cap", "warning", ("500", "700")),
        ({"ecc": False}, "ecc_off", "note", ()),
        (
            {"pcie": NARROW},
            "pcie_width",
            "warning",
            ("8", "16"),
        ),
        (
            {"pcie": SLOW},
            "pcie_generation",
            "note",
            ("1", "5"),
        ),
    ],
)
def test_a_contradiction_is_said_with_both_numbers(
    changes: dict[str, Any], code: str, level: str, numbers: tuple[str, ...]
) -> None:
    """One check each, naming what is and what should be."""
    (check,) = cross_check(gpu(**changes), H100)
    assert (check.code, check.level) == (code, level)
    assert all(number in check.text for number in numbers)


def test_what_is_not_reported_is_not_judged() -> None:
    """Absent fields cannot contradict."""
    silent = gpu(
        sm_count=None,
        memory_bytes=None,
        memory_bus_bits=None,
        max_memory_clock_mhz=None,
        power_limit_w=None,
        ecc=None,
        pcie=None,
    )
    assert cross_check(silent, H100) == ()


def test_an_unlisted_device_is_still_held_against_itself() -> None:
    """Without a profile a lowered power limit is found all the same."""
    (check,) = cross_check(gpu(power_limit_w=350.0), None)
    assert check.code == "power_cap"


def test_unified_memory_clocks_are_not_judged() -> None:
    """GB10 reports its data rate as the clock; doubling that would accuse every one of them."""
    gb10 = catalog.profile("gb10")
    device = gpu(
        name="NVIDIA GB10",
        sm_count=48,
        memory_bytes=122_570 << 20,
        memory_bus_bits=256,
        max_memory_clock_mhz=8533,
        power_limit_w=None,
    )
    assert [c.code for c in cross_check(device, gb10)] == []


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (ClockEvent.HARDWARE_SLOWDOWN, True),
        (ClockEvent.SOFTWARE_THERMAL, True),
        (ClockEvent.HARDWARE_THERMAL, True),
        (ClockEvent.POWER_BRAKE, True),
        (ClockEvent.IDLE, False),
        (ClockEvent.APPLICATION_CLOCKS, False),
        (ClockEvent.SOFTWARE_POWER_CAP, False),
        (ClockEvent.SYNC_BOOST, False),
        (ClockEvent.DISPLAY_CLOCKS, False),
    ],
)
def test_heat_and_supply_are_faults_and_settings_are_not(event: ClockEvent, fault: bool) -> None:
    """The power brake of a node is a fault, its power cap the normal state of a busy GPU."""
    assert bool(faults(event)) is fault
    assert len(words(event)) == 1
