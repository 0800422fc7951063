"""The roof guard: flags every measurement above a roof, because it is an error or a finding.

The guard works when a run is read and is not stored with it, so a better ceiling or a corrected profile
changes its flags. Only cold measurements have a memory roof: a hot one reads its weights from the cache.
"""

from __future__ import annotations

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


def guard_flags(
    measurement: Measurement, measured: Roofs, device: Device, profile: HardwareProfile | None
) -> tuple[Flag, ...]:
    """The flags of a measurement for where it lies under, at or above the roofs."""
    if measurement.timing is None:
        return ()
    measured = measured.multiplying(measurement.parsed_case, measurement.computes)
    flags = (
        _impossible(measurement, device, profile) or _beyond(measurement, measured, profile),
        _above_measured(measurement, measured, device),
        _raised(measurement, measured),
    )
    return tuple(flag for flag in flags if flag is not None)


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


def _impossible(measurement: Measurement, device: Device, profile: HardwareProfile | None) -> Flag | None:
    """Shorter than the memory bus or the instruction allows: something is miscounted or misreported."""
    assert measurement.timing is not None
    seconds = median_ns(measurement.timing) / 1e9
    clock = measurement.state.sm_clock_mhz if measurement.state else None
    bandwidth = physical_bandwidth(device, profile) if measurement.timing.cache == "cold" else None
    rate = physical_rate(measurement.element, clock or device.max_sm_clock_mhz, profile)
    if bandwidth is not None and measurement.bytes_moved / seconds > bandwidth * (1 + PHYSICS_SLACK):
        share = measurement.bytes_moved / seconds / bandwidth
        text = f"{share:.0%} of what the memory bus can carry: {_memory_cause(measurement, device)}"
        return Flag(code=IMPOSSIBLE, text=text)
    if rate is not None and measurement.flops / seconds > rate * (1 + PHYSICS_SLACK):
        share = measurement.flops / seconds / rate
        text = f"{share:.0%} of the instruction peak at the held clock: wrong peak, clock or operation count"
        return Flag(code=IMPOSSIBLE, text=text)
    return None


def _beyond(measurement: Measurement, measured: Roofs, profile: HardwareProfile | None) -> Flag | None:
    """Far above the most generous of all bounds, where the ceilings of the run are all that is known."""
    assert measurement.timing is not None
    case, ns = measurement.parsed_case, median_ns(measurement.timing)
    hot = measurement.timing.cache == "hot"
    sheet = datasheet_roofs(profile).multiplying(case, measurement.computes) if profile else None
    shares = [roofs.share(case, ns, hot=hot) for roofs in (measured.library(), sheet) if roofs]
    share = min((share for share in shares if share is not None), default=None)
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


def _above_measured(measurement: Measurement, measured: Roofs, device: Device) -> Flag | None:
    assert measurement.timing is not None
    case = measurement.parsed_case
    fraction = measured.share(case, median_ns(measurement.timing))
    bound: roofline.Bound | None = measured.bound(case)
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
