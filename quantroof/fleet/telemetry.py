"""The extremes of a GPU's temperature, power and clock under load, over runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from quantroof.records.directory import Run
from quantroof.records.lines import DeviceState


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The hottest, the strongest and the slowest moment; None for what no record holds."""

    temperature_c: float | None = None
    power_w: float | None = None
    sm_clock_mhz: float | None = None


def telemetry(runs: Iterable[Run]) -> dict[str, Telemetry]:
    """By device id, from the states beside all measurements."""
    states: dict[str, list[DeviceState]] = defaultdict(list)
    for run in runs:
        for line in run.measurements:
            if line.state is not None:
                states[line.device].append(line.state)
    return {device: _extremes(seen) for device, seen in states.items()}


def _extremes(states: list[DeviceState]) -> Telemetry:
    return Telemetry(
        max((s.temperature_c for s in states if s.temperature_c is not None), default=None),
        max((s.power_w for s in states if s.power_w is not None), default=None),
        min((s.sm_clock_mhz for s in states if s.sm_clock_mhz is not None), default=None),
    )
