"""What a planted fault does to a simulated device, for tests and demonstrations of the fleet's judgement."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from msgspec.structs import replace

from quantroof.errors import EnvironmentMissing
from quantroof.hwprofiles.clock_events import ClockEvent
from quantroof.records.lines import DeviceState

CRASHED = "the worker process was killed by signal 11 (planted)"
_COMPUTE, _MEMORY = 0.90, 0.92
_THROTTLED_SPEED, _THROTTLED_SHARE = 0.88, 0.5
_ERRORS_A_CASE = 7
_CRASHING_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Planted:
    """The fault of one device in one run; None is a sound device. `seed` is the run's.

    `compute` and `memory` lower one rate, `passing` lowers both in a run with seed 0 only, like a
    neighbour that leaves. `throttle` slows half of the lines and shows it, `ecc` counts errors, `crash`
    loses some lines, `dead` all, `nostart` has no worker at all, `busy` shows a foreign process.
    `pcie` and `vbios` are facts of the device.
    """

    fault: str | None
    seed: int

    @property
    def memory(self) -> float:
        """Share of the sound bandwidth."""
        return _MEMORY if self.fault == "memory" or self._passing else 1.0

    @property
    def compute(self) -> float:
        """Share of the sound matrix rates."""
        return _COMPUTE if self.fault == "compute" or self._passing else 1.0

    @property
    def _passing(self) -> bool:
        return self.fault == "passing" and self.seed == 0

    def slowdown(self, name: str) -> float:
        """Factor on the time of one line."""
        return 1 / _THROTTLED_SPEED if self._throttled(name) else 1.0

    def start(self) -> None:
        """Raises as a worker does that cannot open its device."""
        if self.fault == "nostart":
            raise EnvironmentMissing("the worker process did not start (planted)")

    def crashes(self, name: str) -> bool:
        """Whether this line is lost with its worker."""
        return self.fault == "dead" or (self.fault == "crash" and _chance(name) < _CRASHING_SHARE)

    def state(self, sound: DeviceState, name: str) -> DeviceState:
        """What a monitor sees beside one line."""
        if self._throttled(name):
            reasons = int((sound.reasons or 0) | ClockEvent.HARDWARE_THERMAL)
            return replace(sound, reasons=reasons, temperature_c=92.0)
        if self.fault == "ecc":
            return replace(sound, ecc_errors=_ERRORS_A_CASE)
        return replace(sound, foreign_processes=1) if self.fault == "busy" else sound

    def _throttled(self, name: str) -> bool:
        return self.fault == "throttle" and _chance(name) < _THROTTLED_SHARE


def _chance(name: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
