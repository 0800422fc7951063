"""NVML's clock-event reasons (nvml.h, nvmlClocksEventReason*): bits, names, and which are faults."""

from __future__ import annotations

from enum import IntFlag
from functools import lru_cache


class ClockEvent(IntFlag):
    """Why a clock is below its maximum."""

    IDLE = 0x1
    APPLICATION_CLOCKS = 0x2
    SOFTWARE_POWER_CAP = 0x4
    HARDWARE_SLOWDOWN = 0x8
    SYNC_BOOST = 0x10
    SOFTWARE_THERMAL = 0x20
    HARDWARE_THERMAL = 0x40
    POWER_BRAKE = 0x80
    DISPLAY_CLOCKS = 0x100


WORDS = {
    ClockEvent.IDLE: "idle",
    ClockEvent.APPLICATION_CLOCKS: "application clock setting",
    ClockEvent.SOFTWARE_POWER_CAP: "power cap (software)",
    ClockEvent.HARDWARE_SLOWDOWN: "hardware slowdown",
    ClockEvent.SYNC_BOOST: "sync boost",
    ClockEvent.SOFTWARE_THERMAL: "thermal slowdown (software)",
    ClockEvent.HARDWARE_THERMAL: "thermal slowdown (hardware)",
    ClockEvent.POWER_BRAKE: "power brake (hardware)",
    ClockEvent.DISPLAY_CLOCKS: "display clock setting",
}
FAULTS = (
    ClockEvent.HARDWARE_SLOWDOWN
    | ClockEvent.SOFTWARE_THERMAL
    | ClockEvent.HARDWARE_THERMAL
    | ClockEvent.POWER_BRAKE
)
"""What a healthy node never shows. The software power cap is the normal state of a busy GPU."""
_ALL = sum(ClockEvent)


@lru_cache(maxsize=4096)
def words(bits: int | None) -> tuple[str, ...]:
    """The reasons in a mask; unknown bits are shown as a number."""
    if not bits:
        return ()
    rest = bits & ~_ALL
    return (*_named(bits), *([f"unknown reason {rest:#x}"] if rest else []))


@lru_cache(maxsize=4096)
def faults(bits: int | None) -> tuple[str, ...]:
    """Only the reasons that point at cooling, supply or hardware."""
    return _named((bits or 0) & FAULTS)


def _named(bits: int) -> tuple[str, ...]:
    return tuple(text for event, text in WORDS.items() if bits & event)
