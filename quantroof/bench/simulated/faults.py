"""The effects of an injected fault on a simulated device, for tests and demonstrations of the fleet."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from typing import Any

from msgspec import structs

from quantroof.errors import EnvironmentMissing
from quantroof.hwprofiles.clock_events import ClockEvent
from quantroof.records.lines import DeviceState

CRASHED = "the worker process was killed by signal 11 (injected fault)"
_COMPUTE, _MEMORY, _CLOCK = 0.90, 0.92, 0.95
_FADED = 0.80
_SLOW = 1.10
_SLOW_KERNELS = "int4"  # a part of the names of their cases
_THROTTLED_SPEED, _THROTTLED_SHARE = 0.88, 0.5
_ERRORS_PER_CASE = 7
_CRASHING_SHARE = 0.3
_HANGS_S = 3600.0


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """The fault of one device in one run; None is a healthy device. `seed` is the run's.

    `compute` and `memory` lower one rate; `passing` lowers both, but only in a run with seed 0, like a
    neighbor that leaves. `fading` lowers the bandwidth from the middle of a run on. `clock` lowers the clock
    and the matrix rates with it. `slow` makes every kernel slower, `driver` too and changes the driver;
    `kernel` makes those of int4 slower and changes their machine code. `throttle` slows half of the
    measurements and sets their clock-event bit. `ecc` counts memory errors, `busy` reports a foreign process.
    `crash` loses some measurements and `dead` all; with `nostart` no worker starts, and with
    `hang` none answers. `pcie` and `vbios` change the device itself. `link` halves the rate of its links, and
    with `nolink` no collective answers (`bench.links.simulated`). `bits` flips a bit (`bench.bits.run`).
    """

    fault: str | None
    seed: int

    @property
    def memory(self) -> float:
        """Share of the healthy bandwidth."""
        if self.fault == "faded":
            return _FADED
        return _MEMORY if self.fault == "memory" or self._passing else 1.0

    @property
    def compute(self) -> float:
        """Share of the healthy matrix rates."""
        if self.fault == "clock":
            return _CLOCK
        return _COMPUTE if self.fault == "compute" or self._passing else 1.0

    def later(self) -> InjectedFault:
        """The fault in the second half of a run."""
        return replace(self, fault="faded") if self.fault == "fading" else self

    @property
    def _passing(self) -> bool:
        return self.fault == "passing" and self.seed == 0

    def slowdown(self, name: str) -> float:
        """Factor on the time of one measurement."""
        if self.fault in ("slow", "driver") or self._changes_code(name):
            return _SLOW
        return 1 / _THROTTLED_SPEED if self._throttled(name) else 1.0

    def config(self, name: str) -> dict[str, Any]:
        """What a kernel reports of its machine code."""
        return {"simulated": True, "code_hash": "SIM.02" if self._changes_code(name) else "SIM.01"}

    def _changes_code(self, name: str) -> bool:
        return self.fault == "kernel" and _SLOW_KERNELS in name

    def start(self) -> None:
        """Raise as a worker does that cannot open its device."""
        if self.fault == "nostart":
            raise EnvironmentMissing("the worker process did not start (injected fault)")
        if self.fault == "hang":
            time.sleep(_HANGS_S)

    def crashes(self, name: str) -> bool:
        """Whether this measurement is lost with its worker."""
        return self.fault == "dead" or (self.fault == "crash" and _chance(name) < _CRASHING_SHARE)

    def state(self, healthy: DeviceState, name: str) -> DeviceState:
        """The state that the monitor reports with one measurement."""
        if self._throttled(name):
            reasons = int((healthy.reasons or 0) | ClockEvent.HARDWARE_THERMAL)
            return structs.replace(healthy, reasons=reasons, temperature_c=92.0)
        if self.fault == "ecc":
            return structs.replace(healthy, ecc_errors=_ERRORS_PER_CASE)
        if self.fault == "clock" and healthy.sm_clock_mhz is not None:
            return structs.replace(healthy, sm_clock_mhz=healthy.sm_clock_mhz * _CLOCK)
        return structs.replace(healthy, foreign_processes=1) if self.fault == "busy" else healthy

    def _throttled(self, name: str) -> bool:
        return self.fault == "throttle" and _chance(name) < _THROTTLED_SHARE


def _chance(name: str) -> float:
    """A number in [0, 1) that belongs to a name."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
