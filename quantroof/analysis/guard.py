"""The roof guard: flags every measurement above a roof, because it is an error or a finding.

The guard works when a run is read and is not stored with it, so a better ceiling or a corrected profile
changes its flags. Only cold measurements have a memory roof: a hot one reads its weights from the cache.
"""

from __future__ import annotations

from dataclasses import dataclass

from quantroof.analysis.case_time import median_ns
from quantroof.analysis.roofs import RAISABLE, Roofs, datasheet_roofs
from quantroof.hwprofiles import roofline
from quantroof.hwprofiles.types import Device, HardwareProfile
from quantroof.records.lines import Flag, Measurement

ROOF_NOISE = 0.05
"""A case this far above a measured roof is at the roof: two processes on one machine differ by that much."""
PHYSICS_SLACK = 0.02  # clocks are reported in whole MHz, and a bus figure is rounded
BEYOND = RAISABLE
"""A case this far above every bound of its device did not do its work; nothing may follow from its time."""
IMPOSSIBLE, ABOVE_ROOF = "impossible", "above_roof"
_CACHE_MULTIPLE = 3  # a rotation over this many caches leaves nothing of a weight set in the cache


@dataclass(frozen=True, slots=True)
class _Allowed:
    """What the roofs of a device allow one case: the shortest time in s, and operations/s for a hot case."""

    measured_s: float | None
    bound: roofline.Bound | None
    bounds: tuple[tuple[float | None, float | None], ...]
    """Seconds and operations/s by the library's ceilings and by the datasheet."""


class RoofGuard:
    """The guard of one device: what its roofs allow a case is worked out once for all kernels."""

    def __init__(self, measured: Roofs, device: Device, profile: HardwareProfile | None) -> None:
        self._measured, self._device, self._profile = measured, device, profile
        sheet = datasheet_roofs(profile) if profile else None
        self._bounds = [roofs for roofs in (measured.library(), sheet) if roofs]
        self._bandwidth = physical_bandwidth(device, profile)
        self._allowed: dict[tuple[str, str | None, int, int], _Allowed] = {}

    def flags(self, measurement: Measurement) -> tuple[Flag, ...]:
        """The flags of a measurement for where it lies under, at or above the roofs."""
        if measurement.timing is None:
            return ()
        allowed, ns = self._of(measurement), median_ns(measurement.timing)
        flags = (
            self._impossible(measurement, ns / 1e9) or _beyond(measurement, allowed, ns),
            _above_measured(measurement, allowed, ns, self._device),
            _raised(measurement, self._measured),
        )
        return tuple(flag for flag in flags if flag is not None)

    def _of(self, line: Measurement) -> _Allowed:
        key = line.case, line.computes, line.flops, line.bytes_moved
        if key not in self._allowed:
            case = line.parsed_case
            measured, *bounds = (
                roofs.multiplying(case, line.computes) for roofs in (self._measured, *self._bounds)
            )
            by_bound = tuple((roofs.seconds(case), roofs.rate(case)) for roofs in bounds)
            self._allowed[key] = _Allowed(measured.seconds(case), measured.bound(case), by_bound)
        return self._allowed[key]

    def _impossible(self, measurement: Measurement, seconds: float) -> Flag | None:
        """Shorter than the memory bus or the instruction allows: something is miscounted or misreported."""
        assert measurement.timing is not None
        clock = measurement.state.sm_clock_mhz if measurement.state else None
        bandwidth = self._bandwidth if measurement.timing.cache == "cold" else None
        rate = physical_rate(measurement.element, clock or self._device.max_sm_clock_mhz, self._profile)
        if bandwidth is not None and measurement.bytes_moved / seconds > bandwidth * (1 + PHYSICS_SLACK):
            share = measurement.bytes_moved / seconds / bandwidth
            cause = _memory_cause(measurement, self._device)
            return Flag(code=IMPOSSIBLE, text=f"{share:.0%} of what the memory bus can carry: {cause}")
        if rate is not None and measurement.flops / seconds > rate * (1 + PHYSICS_SLACK):
            share = measurement.flops / seconds / rate
            text = (
                f"{share:.0%} of the instruction peak at the held clock: wrong peak, clock or operation count"
            )
            return Flag(code=IMPOSSIBLE, text=text)
        return None


def physical_bandwidth(device: Device, profile: HardwareProfile | None) -> float | None:
    """Bytes/s that no access pattern can exceed: bus width x data rate, or the datasheet where it is more.

    Bandwidth = memory clock x 2 transfers x bus / 8 (CUDA's and NVML's clocks are half the data rate).
    """
    bus, clock = device.memory_bus_bits, device.max_memory_clock_mhz
    wired = None if bus is None or clock is None else clock * 1e6 * 2 * bus / 8
    limits = [value for value in (wired, profile and profile.bandwidth_bytes_per_s) if value]
    return max(limits, default=None)


def physical_rate(element: str, clock_mhz: float | None, profile: HardwareProfile | None) -> float | None:
    """Operations/s of the instruction itself at a held clock, by the fastest accumulator of the element."""
    if profile is None or clock_mhz is None:
        return None
    peaks = [p for p in profile.peaks if p.element == element and p.clock_mhz]
    return max((p.flops_per_s * clock_mhz / p.clock_mhz for p in peaks if p.clock_mhz), default=None)


def _beyond(measurement: Measurement, allowed: _Allowed, ns: float) -> Flag | None:
    """Far above the most generous of all bounds, where the ceilings of the run are all that is known."""
    assert measurement.timing is not None
    if measurement.timing.cache == "hot":
        flops = measurement.parsed_case.flops
        shares = [flops / rate * 1e9 / ns for _, rate in allowed.bounds if rate]
    else:
        shares = [seconds * 1e9 / ns for seconds, _ in allowed.bounds if seconds is not None]
    share = min(shares, default=None)
    if share is None or share <= BEYOND:
        return None
    text = f"{share:.4g} times every bound of this device: the work was not done, or the bounds are wrong"
    return Flag(code=IMPOSSIBLE, text=text)


def _memory_cause(measurement: Measurement, device: Device) -> str:
    timing = measurement.timing
    assert timing is not None
    if device.llc_bytes is not None and timing.rotated_bytes < _CACHE_MULTIPLE * device.llc_bytes:
        return f"only {timing.rotated_bytes} bytes rotate through a cache of {device.llc_bytes} bytes"
    return "bytes miscounted, or a wrong bus width or clock"


def _above_measured(measurement: Measurement, allowed: _Allowed, ns: float, device: Device) -> Flag | None:
    assert measurement.timing is not None
    fraction = None if allowed.measured_s is None else allowed.measured_s * 1e9 / ns
    bound = allowed.bound
    hot = measurement.timing.cache == "hot"
    if fraction is None or fraction <= 1 or (hot and bound == "memory"):
        return None
    if fraction <= 1 + ROOF_NOISE:
        text = f"{fraction:.1%} of the measured {bound} roof: within the noise of both"
        return Flag(code="at_roof", text=text)
    cause = "the clock rose after the ceiling was measured"
    if bound == "memory":
        cause = (
            f"{_memory_cause(measurement, device)}, or the device was slower when the ceiling was measured"
        )
    return Flag(code=ABOVE_ROOF, text=f"{fraction:.0%} of the measured {bound} roof: {cause}")


def _raised(measurement: Measurement, measured: Roofs) -> Flag | None:
    if measured.raised.get(measurement.element) != f"{measurement.case} {measurement.kernel}":
        return None
    text = f"faster than the best library GEMM of {measurement.element}: it is that ceiling now"
    return Flag(code="raised_ceiling", text=text)
