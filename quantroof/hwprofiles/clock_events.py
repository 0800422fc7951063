"""NVML's clock-event reason bits in words (nvml.h, nvmlClocksEventReason*)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """One reason for a clock below its maximum; a `fault` is nothing a healthy node shows."""

    bit: int
    text: str
    fault: bool


CLOCK_EVENTS = (
    ClockEvent(0x1, "idle", False),
    ClockEvent(0x2, "application clock setting", False),
    ClockEvent(0x4, "power cap (software)", False),
    ClockEvent(0x8, "hardware slowdown", True),
    ClockEvent(0x10, "sync boost", False),
    ClockEvent(0x20, "thermal slowdown (software)", True),
    ClockEvent(0x40, "thermal slowdown (hardware)", True),
    ClockEvent(0x80, "power brake (hardware)", True),
    ClockEvent(0x100, "display clock setting", False),
)


def words(bits: int | None) -> tuple[str, ...]:
    """The reasons in a mask; bits this version does not know are shown as numbers."""
    if not bits:
        return ()
    known = [event.text for event in CLOCK_EVENTS if bits & event.bit]
    rest = bits & ~sum(event.bit for event in CLOCK_EVENTS)
    return (*known, *([f"unknown reason {rest:#x}"] if rest else []))


def faults(bits: int | None) -> tuple[str, ...]:
    """Only the reasons that point at cooling, supply or hardware."""
    return tuple(event.text for event in CLOCK_EVENTS if bits and bits & event.bit and event.fault)
