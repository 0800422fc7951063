"""Devices in words, for commands that list them."""

from __future__ import annotations

from quantroof.hwprofiles.types import Device


def headline(device: Device) -> str:
    """One line: what it is, how large, how it is set. What was not reported is left out."""
    parts = _cpu(device) if device.kind == "cpu" else _gpu(device)
    return "  ".join([f"{device.id:7}", device.name, *parts])


def _cpu(device: Device) -> list[str]:
    cpu = device.cpu
    parts = []
    if cpu is not None:
        parts.append(f"{cpu.usable_cores} usable cores")
        if cpu.l3_bytes is not None:
            parts.append(f"L3 {cpu.l3_bytes / (1 << 20):.0f} MiB")
    if device.memory_bytes is not None:
        parts.append(f"{device.memory_bytes / (1 << 30):.1f} GiB")
    if cpu is not None and cpu.isa:
        parts.append(" ".join(cpu.isa))
    return parts


def _gpu(device: Device) -> list[str]:
    parts = []
    if device.compute_capability is not None:
        parts.append(f"compute capability {device.compute_capability}")
    if device.sm_count is not None:
        parts.append(f"{device.sm_count} SMs")
    if device.memory_bytes is not None:
        parts.append(f"{device.memory_bytes / (1 << 30):.1f} GiB")
    if device.driver is not None:
        parts.append(f"driver {device.driver}")
    if device.power_limit_w is not None:
        parts.append(f"{device.power_limit_w:.0f} W")
    if device.ecc is not None:
        parts.append(f"ECC {'on' if device.ecc else 'off'}")
    if device.mig is not None:
        parts.append(f"MIG {device.mig}")
    return parts
