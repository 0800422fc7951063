"""The device's state over one case: which monitor a device has, and what every monitor promises."""

from __future__ import annotations

from typing import Protocol

from quantroof.bench.state.cpu import CpuMonitor
from quantroof.bench.timing.timer import Probe
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import DeviceState


class Monitor(Protocol):
    """Watches one device during one case. `probe` goes into the timer, which says where a batch stands."""

    probe: Probe

    def start(self) -> None:
        """Forget the last case and watch from now."""

    def stop(self) -> DeviceState:
        """Watch no longer: the state over the case, absent fields for what nobody reports."""
        ...


def monitor_for(device: Device) -> Monitor:
    """The monitor of a device: NVML and the device's own clock on a GPU, foreign load on a CPU."""
    if device.kind == "cpu":
        return CpuMonitor()
    from quantroof.bench.state.gpu import GpuMonitor

    return GpuMonitor(device)
