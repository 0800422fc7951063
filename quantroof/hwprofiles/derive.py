"""Peaks and bandwidth by formula, for a GPU that the catalog does not list. Always marked *derived*.

peak = SMs x operations a clock and SM x rated clock, halved where the board's rate class halves it;
bandwidth = data rate a pin x bus width / 8.
"""

from __future__ import annotations

from quantroof.errors import UsageError
from quantroof.hwprofiles.compute import capabilities, limits, source
from quantroof.hwprofiles.types import Device, Figure, HardwareProfile, Peak, RateClass, Unit

# What a GeForce board halves: accumulation in fp32 of plain formats. Block-scaled fp4 and mxfp8 run at full
# rate there (RTX 5090: mxfp8 731 and fp8 with fp32 accumulation 480 TFLOP/s measured).
_GEFORCE_HALVES = ("tf32", "fp16", "bf16", "fp8")
# HBM, GDDR and LPDDR move two words a clock of the rate that NVML reports.
_WORDS_PER_CLOCK = 2
_FP8 = ("fp8_e4m3", "fp8_e5m2")


def peaks(
    capability: str, sm_count: int, boost_mhz: float, tensor_mhz: float, rate_class: RateClass
) -> tuple[Peak, ...]:
    """Dense peaks by formula; UsageError for an unknown capability or a class that follows no rule."""
    if capability not in capabilities():
        known = ", ".join(capabilities())
        raise UsageError(f"no rates are known for compute capability {capability}", hint=f"known: {known}")
    if rate_class not in ("full", "half", "geforce"):
        raise UsageError(f"rate class '{rate_class}' follows no rule", hint="one of: full, half, geforce")
    rates = capabilities()[capability]
    found = []
    for unit, table in (("vector", rates.vector), ("matrix", rates.matrix)):
        for element, by_accumulator in table.items():
            for accumulator, rate in by_accumulator.items():
                share = _share(unit, element, accumulator, rate_class)
                clock = boost_mhz if unit == "vector" or element == "fp64" else tensor_mhz
                tflops = sm_count * rate * share * clock / 1e6
                text = f"{sm_count} SM x {rate * share:g} x {clock:g} MHz ({source()})"
                for name in _FP8 if element == "fp8" else (element,):
                    found.append(_peak(name, accumulator, tflops, unit, clock, text))
    return tuple(found)


def bandwidth_gbps(gbps_per_pin: float, bus_bits: int) -> float:
    """DRAM bandwidth in GB/s from the data rate of a pin (Gbit/s) and the width of the bus."""
    return gbps_per_pin * bus_bits / 8


def profile(device: Device, rate_class: RateClass | None = None) -> HardwareProfile | None:
    """A derived profile of a detected GPU; None where something it needs was not reported.

    The rated clock is CUDA's; NVML's maximum stands in for it with a warning among the assumptions, because
    GeForce boards report up to 30 % more than they are rated for.
    """
    capability, clock = device.compute_capability, device.rated_sm_clock_mhz or device.max_sm_clock_mhz
    memory_clock, bus = device.max_memory_clock_mhz, device.memory_bus_bits
    if capability not in capabilities() or device.sm_count is None or clock is None:
        return None
    if memory_clock is None or bus is None or device.memory_bytes is None:
        return None
    named_class, why = class_of(device.name)
    chosen = rate_class or named_class
    per_pin = memory_clock * _WORDS_PER_CLOCK / 1e3
    rated = device.rated_sm_clock_mhz is not None
    assumptions = (
        f"rate class {chosen}: {'as asked' if rate_class else why}",
        f"{clock} MHz is {'the rated clock' if rated else 'the highest clock; the rated one may be 30 % lower'}",
        f"memory moves {_WORDS_PER_CLOCK} words a clock: {per_pin:g} Gbit/s a pin x {bus} bit",
        "matrix and vector units are rated at the same clock",
    )
    return HardwareProfile(
        id=f"derived-{device.name.lower().replace(' ', '-')}",
        device_names=(device.name,),
        vendor="NVIDIA",
        architecture=capabilities()[capability].architecture,
        compute_capability=capability,
        sm_count=device.sm_count,
        boost_mhz=clock,
        memory_gb=device.memory_bytes / 1e9,
        memory_type="not reported",
        memory_bus_bits=bus,
        memory_gbps_per_pin=per_pin,
        l2_mb=None if device.llc_bytes is None else device.llc_bytes / (1 << 20),
        tdp_w=device.default_power_limit_w,
        rate_class=chosen,
        bandwidth_gbps=Figure(value=bandwidth_gbps(per_pin, bus), source=assumptions[2], basis="derived"),
        peaks=peaks(capability, device.sm_count, clock, clock, chosen),
        origin="derived",
        assumptions=assumptions,
        **limits(capability),
    )


def class_of(name: str) -> tuple[RateClass, str]:
    """The likely rate class of a name, with the reason: GeForce boards, and A10G and L40, are not full."""
    words = name.upper().split()
    if "GEFORCE" in words or "TITAN" in words:
        return "geforce", "GeForce boards halve fp32 accumulation"
    if {"A10G", "L40"} & set(words):
        return "half", "this board halves every matrix format"
    return "full", "data-centre and workstation boards have the full rate"


def _share(unit: Unit | str, element: str, accumulator: str, rate_class: RateClass) -> float:
    if unit == "vector":
        return 1
    if rate_class == "half":
        return 0.5
    halved = rate_class == "geforce" and element in _GEFORCE_HALVES and accumulator == "fp32"
    return 0.5 if halved else 1


def _peak(element: str, accumulator: str, tflops: float, unit: str, clock: float, text: str) -> Peak:
    return Peak(
        element=element,
        accumulator=accumulator,
        tflops=tflops,
        unit="vector" if unit == "vector" else "matrix",
        clock_mhz=clock,
        source=text,
        basis="derived",
    )
