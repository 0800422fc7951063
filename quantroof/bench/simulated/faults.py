"""The effects of an injected fault on a simulated device, for tests and demonstrations of the fleet."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from msgspec.structs import replace

from quantroof.errors import EnvironmentMissing
from quantroof.hwprofiles.clock_events import ClockEvent
from quantroof.records.lines import DeviceState

CRASHED = "the worker process was killed by signal 11 (injected fault)"
_COMPUTE, _MEMORY = 0.90, 0.92
_THROTTLED_SPEED, _THROTTLED_SHARE = 0.88, 0.5
_ERRORS_PER_CASE = 7
_CRASHING_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """The fault of one device in one run; None is a healthy device. `seed` is the run's.

    `compute` and `memory` lower one rate; `passing` lowers both, but only in a run with seed 0, like a
    neighbor that leaves. `throttle` slows half of the measurements and sets their clock-event bit. `ecc`
    counts memory errors, `busy` reports a foreign process. `crash` loses some measurements and `dead` all;
    with `nostart` no worker starts. `pcie` and `vbios` change the device itself.
    """

    fault: str | None
    seed: int

    @property
    def memory(self) -> float:
        """Share of the healthy bandwidth."""
        return _MEMORY if self.fault == "memory" or self._passing else 1.0

    @property
    def compute(self) -> float:
        """Share of the healthy matrix rates."""
        return _COMPUTE if self.fault == "compute" or self._passing else 1.0

    @property
    def _passing(self) -> bool:
        return self.fault == "passing" and self.seed == 0

    def slowdown(self, name: str) -> float:
        """Factor on the time of one measurement."""
        return 1 / _THROTTLED_SPEED if self._throttled(name) else 1.0

    def start(self) -> None:
        """Raise as a worker does that cannot open its device."""
        if self.fault == "nostart":
            raise EnvironmentMissing("the worker process did not start (injected fault)")

    def crashes(self, name: str) -> bool:
        """Whether this measurement is lost with its worker."""
        return self.fault == "dead" or (self.fault == "crash" and _chance(name) < _CRASHING_SHARE)

    def state(self, healthy: DeviceState, name: str) -> DeviceState:
        """The state that the monitor reports with one measurement."""
        if self._throttled(name):
            reasons = int((healthy.reasons or 0) | ClockEvent.HARDWARE_THERMAL)
            return replace(healthy, reasons=reasons, temperature_c=92.0)
        if self.fault == "ecc":
            return replace(healthy, ecc_errors=_ERRORS_PER_CASE)
        return replace(healthy, foreign_processes=1) if self.fault == "busy" else healthy

    def _throttled(self, name: str) -> bool:
        return self.fault == "throttle" and _chance(name) < _THROTTLED_SHARE


def _chance(name: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
