"""Compare what a device reports with its profile and with itself; each contradiction names both numbers."""

from __future__ import annotations

from collections.abc import Iterator

from quantroof.finding import Finding
from quantroof.hwprofiles.types import Device, HardwareProfile

_CLOCK_SLACK = 0.03


def cross_check(device: Device, profile: HardwareProfile | None) -> tuple[Finding, ...]:
    """Contradictions between a GPU and its catalog entry, and limits set below what the board can do."""
    findings = [*_itself(device), *_power(device, profile)]
    if profile is not None and profile.origin == "catalog":
        findings += _against(device, profile)
    return tuple(findings)


def _warn(code: str, text: str, hint: str | None = None) -> Finding:
    return Finding("warning", code, text, hint)


def _against(device: Device, profile: HardwareProfile) -> Iterator[Finding]:
    """SM count, memory, bus and memory clock against the catalog."""
    if device.sm_count is not None and device.sm_count != profile.sm_count:
        text = f"{device.sm_count} SMs, the profile {profile.id} has {profile.sm_count}"
        yield _warn("sm_count", text, "another variant, or SMs are disabled; peaks are the profile's")
    if device.memory_bytes is not None and not profile.has_memory(device.memory_bytes):
        size = f"{device.memory_bytes / 1e9:.1f} GB of memory"
        text = f"{size}, the profile {profile.id} has {profile.memory_gb:g} GB"
        yield _warn("memory_size", text, "another variant, or memory is retired or reserved")
    bus, wanted_bus = device.memory_bus_bits, profile.memory_bus_bits
    if bus is not None and wanted_bus is not None and bus != wanted_bus:
        text = f"a {bus}-bit memory bus, the profile {profile.id} has {wanted_bus} bit"
        yield _warn("bus_width", text, profile.sources.get("memory_bus_bits"))
    yield from _memory_clock(device, profile)


def _memory_clock(device: Device, profile: HardwareProfile) -> Iterator[Finding]:
    """The data rate per pin is twice NVML's clock, except with unified memory (GB10, Orin)."""
    if profile.memory_gbps_per_pin is None or device.max_memory_clock_mhz is None:
        return
    if profile.memory_type.startswith("LPDDR"):
        return
    reported = 2 * device.max_memory_clock_mhz / 1e3
    if abs(reported / profile.memory_gbps_per_pin - 1) > _CLOCK_SLACK:
        text = (
            f"memory runs at up to {device.max_memory_clock_mhz} MHz ({reported:.2f} Gbit/s per pin), "
            f"the profile {profile.id} has {profile.memory_gbps_per_pin:g} Gbit/s"
        )
        yield _warn("memory_clock", text)


def _itself(device: Device) -> Iterator[Finding]:
    """ECC, MIG and PCIe link, as the device itself reports them."""
    if device.ecc is False:
        text = "ECC is off: there is more memory and bandwidth, but memory errors go unnoticed"
        yield Finding("note", "ecc_off", text, "sudo nvidia-smi -e 1, then a reset")
    if device.mig is not None:
        text = f"a MIG slice ({device.mig}): peaks and bandwidth are scaled to it"
        yield Finding("note", "mig", text)
    link = device.pcie
    if link is None:
        return
    if link.width is not None and link.max_width is not None and link.width < link.max_width:
        text = f"PCIe runs on {link.width} lanes, the card supports {link.max_width}"
        yield _warn("pcie_width", text, "reseat the card, or look for a slot with more lanes")
    # An idle board lowers its generation to save power, so that alone is not a fault; it keeps its lanes.
    generation, best = link.generation, link.max_generation
    if generation is not None and best is not None and generation < best:
        text = f"PCIe runs at generation {generation}, the link supports {best}"
        yield Finding("note", "pcie_generation", text, "it should rise under load")


def _power(device: Device, profile: HardwareProfile | None) -> Iterator[Finding]:
    """A power limit below the board's default, or a default below the TDP of the model."""
    limit, default = device.power_limit_w, device.default_power_limit_w
    tdp = profile.tdp_w if profile is not None and profile.origin == "catalog" else None
    if limit is None:
        return
    if default is not None and limit < default * (1 - _CLOCK_SLACK):
        hint = f"sudo nvidia-smi -i {device.nvml_index} -pl {default:.0f}"
        yield _warn("power_cap", f"the power limit is {limit:.0f} W, by default {default:.0f} W", hint)
    elif tdp is not None and limit < tdp * (1 - _CLOCK_SLACK):
        text = f"the power limit is {limit:.0f} W, the model's TDP {tdp:.0f} W"
        yield _warn("power_cap", text, "the node's vendor may have lowered it; sustained rates depend on it")
