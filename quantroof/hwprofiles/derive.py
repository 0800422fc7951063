"""Peaks and bandwidth by formula, for a GPU that the catalog does not list. Always marked *derived*.

peak = SMs x operations per clock and SM x rated clock, halved where the board's rate class halves it;
bandwidth = data rate per pin x bus width / 8.
"""

from __future__ import annotations

from quantroof.errors import UsageError
from quantroof.hwprofiles.compute import capabilities, source
from quantroof.hwprofiles.types import Device, Figure, HardwareProfile, Peak, RateClass, Unit

# What a GeForce board halves: accumulation in fp32 of plain formats. Block-scaled fp4 and mxfp8 run at full
# rate there (RTX 5090: mxfp8 731 and fp8 with fp32 accumulation 480 TFLOP/s measured).
_GEFORCE_HALVES = ("tf32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2")
# HBM, GDDR and LPDDR move two words per clock of the rate that NVML reports.
_WORDS_PER_CLOCK = 2
_ONE_CLOCK = "matrix and vector units are rated at one clock"


def peaks(
    capability: str, sm_count: int, boost_mhz: float, tensor_mhz: float, rate_class: RateClass
) -> tuple[Peak, ...]:
    """Dense peaks by formula; UsageError for an unknown capability or a class that follows no rule."""
    if capability not in capabilities():
        known = ", ".join(sorted(capabilities(), key=lambda text: [int(part) for part in text.split(".")]))
        raise UsageError(f"no rates are known for compute capability {capability}", hint=f"known: {known}")
    if rate_class not in ("full", "half", "geforce"):
        raise UsageError(f"rate class '{rate_class}' follows no rule", hint="one of: full, half, geforce")
    found = []
    for unit, element, accumulator, operations in capabilities()[capability].rates():
        rate = operations * _share(unit, element, accumulator, rate_class)
        clock = boost_mhz if unit == "vector" or element == "fp64" else tensor_mhz
        peak = Peak(
            element=element,
            accumulator=accumulator,
            tflops=sm_count * rate * clock / 1e6,
            unit=unit,
            clock_mhz=clock,
            source=f"{sm_count} SM x {rate:g} operations x {clock:g} MHz",
            basis="derived",
            note=f"rates: {source()}",
        )
        found.append(peak)
    return tuple(found)


def bandwidth_gbps(gbps_per_pin: float, bus_bits: int) -> float:
    """DRAM bandwidth in GB/s from the data rate of a pin (Gbit/s) and the width of the bus."""
    return gbps_per_pin * bus_bits / 8


def profile(device: Device, rate_class: RateClass | None = None) -> HardwareProfile:
    """A derived profile of a detected GPU. UsageError names what the device did not report.

    The rated clock is CUDA's; NVML's maximum stands in for it, and the assumptions say so.
    """
    clock = device.rated_sm_clock_mhz or device.max_sm_clock_mhz
    sms, memory_bytes = device.sm_count, device.memory_bytes
    memory_clock, bus = device.max_memory_clock_mhz, device.memory_bus_bits
    if not (sms and clock and memory_bytes and memory_clock and bus and device.compute_capability):
        raise UsageError(_missing(device, clock), where=device.id)
    chosen, why = (rate_class, "as asked") if rate_class else class_of(device.name)
    found = peaks(device.compute_capability, sms, clock, clock, chosen)
    rates = capabilities()[device.compute_capability]
    per_pin = memory_clock * _WORDS_PER_CLOCK / 1e3
    memory = f"memory moves {_WORDS_PER_CLOCK} words a clock: {per_pin:g} Gbit/s per pin x {bus} bit"
    return HardwareProfile(
        id=f"derived-{device.name.lower().replace(' ', '-')}",
        device_names=(device.name,),
        vendor="NVIDIA",
        architecture=rates.architecture,
        compute_capability=device.compute_capability,
        sm_count=sms,
        boost_mhz=clock,
        memory_gb=memory_bytes / 1e9,
        memory_mib=memory_bytes / (1 << 20),
        memory_type="not reported",
        memory_bus_bits=bus,
        memory_gbps_per_pin=per_pin,
        l2_mb=None if device.llc_bytes is None else device.llc_bytes / (1 << 20),
        l1_kb=rates.l1_kb,
        shared_kb=rates.shared_kb,
        tdp_w=device.default_power_limit_w,
        rate_class=chosen,
        bandwidth_gbps=Figure(value=bandwidth_gbps(per_pin, bus), source=memory, basis="derived"),
        peaks=found,
        origin="derived",
        assumptions=(f"rate class {chosen}: {why}", _clock_sentence(device), memory, _ONE_CLOCK),
    )


def class_of(name: str) -> tuple[RateClass, str]:
    """The likely rate class of a name, with the reason."""
    words = set(name.upper().split())
    if words & {"GEFORCE", "TITAN"}:
        return "geforce", "GeForce boards halve fp32 accumulation"
    if words & {"A10G", "L40"}:
        return "half", "this board halves every matrix format"
    return "full", "data-center and workstation boards have the full rate"


def _missing(device: Device, clock: int | None) -> str:
    needed = {
        "compute capability": device.compute_capability,
        "SM count": device.sm_count,
        "clock": clock,
        "memory size": device.memory_bytes,
        "memory clock": device.max_memory_clock_mhz,
        "memory bus width": device.memory_bus_bits,
    }
    return f"{device.name} does not report its {', '.join(n for n, value in needed.items() if not value)}"


def _clock_sentence(device: Device) -> str:
    if device.rated_sm_clock_mhz is not None:
        return f"{device.rated_sm_clock_mhz} MHz is the rated clock"
    return f"{device.max_sm_clock_mhz} MHz is the highest clock that can be set; the rated one is not known"


def _share(unit: Unit, element: str, accumulator: str, rate_class: RateClass) -> float:
    if unit == "vector" or rate_class == "full":
        return 1
    if rate_class == "half":
        return 0.5
    return 0.5 if element in _GEFORCE_HALVES and accumulator == "fp32" else 1
