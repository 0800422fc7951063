"""The physical slot of a PCI address, as the system's firmware names it; Linux shows it in sysfs."""

from __future__ import annotations

from pathlib import Path

_SLOTS = Path("/sys/bus/pci/slots")


def pci_address(bus_id: str | bytes | None) -> str | None:
    """NVML's bus id as Linux writes it: `00000000:5D:00.0` is `0000:5d:00.0`."""
    text = bus_id.decode(errors="replace") if isinstance(bus_id, bytes) else bus_id
    if not text:
        return None
    domain, colon, rest = text.lower().partition(":")
    return f"{domain[-4:]}{colon}{rest}"


def slot_of(address: str | None, slots: Path = _SLOTS) -> str | None:
    """The name of the slot that holds a device at this address; None where the system does not name it."""
    if address is None:
        return None
    place = address.partition(".")[0]
    try:
        for slot in sorted(slots.iterdir()):
            if (slot / "address").read_text(encoding="ascii", errors="replace").strip() == place:
                return slot.name
    except OSError:
        return None
    return None
