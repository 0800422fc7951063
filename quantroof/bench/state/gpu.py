"""The state of a GPU over a case: held clock from the device itself, the rest from NVML."""

from __future__ import annotations

import sys
import time
from statistics import median
from typing import TYPE_CHECKING

from msgspec.structs import replace

from quantroof.bench.clock import now_s
from quantroof.bench.failures import reason
from quantroof.bench.state.board_watch import BoardWatch
from quantroof.bench.timing.timer import Probe
from quantroof.hwprofiles.nvml import Board, Counters, Reading
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import DeviceState

if TYPE_CHECKING:
    from quantroof.bench.state.device_clock import DeviceClock

_ENERGY_MIN_S = 1.0  # the total-energy counter steps every 20 to 100 ms: a shorter case reads noise


class GpuMonitor:
    """NVML in a thread, and the device's own clock around every batch; either may be missing."""

    def __init__(self, device: Device) -> None:
        self._board = Board.open(device.uuid, None if device.uuid else device.nvml_index)
        self._watch = None if self._board is None else BoardWatch(self._board)
        self._clock = _device_clock(device)
        self.probe: Probe = self
        self._before: Counters | None = None
        self._started_s = 0.0

    def start(self) -> None:
        """Forget the last case and start monitoring."""
        if self._clock is not None:
            self._clock.start()
        if self._board is not None and self._watch is not None:
            self._board.xids()  # drop those from before this case
            self._watch.start()
            self._before = self._board.counters()
        self._started_s = now_s()

    def begin(self) -> None:
        """Stamp the clock before a batch."""
        if self._clock is not None:
            self._clock.begin()

    def busy(self) -> None:
        """Read NVML while the batch runs."""
        if self._watch is not None:
            self._watch.read()

    def end(self) -> None:
        """Stamp the clock after a batch."""
        if self._clock is not None:
            self._clock.end()

    def stop(self) -> DeviceState:
        """The state over the case."""
        # Counters first: what the host does after them is not part of the energy.
        try:
            after = None if self._board is None else self._board.counters(processes=True)
            elapsed_s = now_s() - self._started_s
        finally:
            readings = [] if self._watch is None else self._watch.stop()
        held = [] if self._clock is None else self._clock.held_mhz()
        state = summarize(held, readings, self._before, after, elapsed_s)
        return state if self._board is None else replace(state, xid=self._board.xids())


def summarize(
    held_mhz: list[float],
    readings: list[Reading],
    before: Counters | None,
    after: Counters | None,
    elapsed_s: float,
) -> DeviceState:
    """One DeviceState from the observations over `elapsed_s` seconds of one case; pure.

    The held clock is the device's own where it could be stamped, else NVML's. Energy and power come from the
    total-energy counter over at least a second, else they are unreported: NVML's power reading is a lagging
    average and no measurement of a short case.
    """
    clock = median(held_mhz) if held_mhz else _middle([r.sm_mhz for r in readings])
    energy_j = _energy_j(before, after) if elapsed_s >= _ENERGY_MIN_S else None
    return DeviceState(
        sm_clock_mhz=clock,
        sm_clock_source="device" if held_mhz else None if clock is None else "nvml",
        held_mhz=tuple(held_mhz),
        memory_clock_mhz=_middle([r.memory_mhz for r in readings]),
        temperature_c=_middle([r.temperature_c for r in readings]),
        energy_j=energy_j,
        power_w=None if energy_j is None else energy_j / elapsed_s,
        reasons=_or([r.reasons for r in readings if r.reasons is not None]),
        age_ms=(time.monotonic_ns() - readings[0].at_ns) / 1e6 if readings else None,
        ecc_errors=_grown(before, after, "ecc_errors"),
        foreign_processes=None if after is None or after.processes is None else max(0, after.processes - 1),
    )


def _middle(values: list[float | None]) -> float | None:
    """The median of what was reported, None if nothing was."""
    reported = [value for value in values if value is not None]
    return median(reported) if reported else None


def _or(bits: list[int]) -> int | None:
    if not bits:
        return None
    together = 0
    for value in bits:
        together |= value
    return together


def _energy_j(before: Counters | None, after: Counters | None) -> float | None:
    used_mj = _grown(before, after, "energy_mj")
    return None if not used_mj else used_mj / 1e3


def _grown(before: Counters | None, after: Counters | None, name: str) -> float | None:
    """By how much a counter grew; None if it is not reported or went backwards."""
    first, last = getattr(before, name, None), getattr(after, name, None)
    return None if first is None or last is None or last < first else last - first


def _device_clock(device: Device) -> DeviceClock | None:
    """The clock kernel, or None if Triton is missing or cannot compile for this device."""
    if device.sm_count is None:
        return None
    try:
        from quantroof.bench.state.device_clock import DeviceClock

        return DeviceClock(device.sm_count)
    except Exception as error:  # noqa: BLE001 - after any failure NVML's clock is used
        why = reason(error, "the device's own clock")
        print(f"the device's own clock cannot be read, NVML's clock is used: {why}", file=sys.stderr)
        return None
