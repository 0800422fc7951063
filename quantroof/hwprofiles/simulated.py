"""Devices that exist only as a profile, healthy or with an injected fault: `sim:PROFILE*8@gpu-07+ecc@3`."""

from __future__ import annotations

import re
from typing import Literal, get_args

from msgspec.structs import replace

from quantroof.errors import UsageError, unknown_name
from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.types import Device, HardwareProfile, PcieLink

Fault = Literal[
    "compute", "memory", "passing", "fading", "clock", "driver", "kernel", "slow", "throttle", "ecc", "pcie",
    "vbios", "crash", "dead", "nostart", "hang", "busy", "link", "nolink", "bits",
]  # fmt: skip
FAULTS: tuple[Fault, ...] = get_args(Fault)
"""`bench.simulated.faults`, `bench.links.simulated` and `bench.bits.run` define the effects; `pcie`, `vbios`
and `driver` change the device itself."""
CODE_FAULTS: tuple[Fault, ...] = ("kernel", "slow")
"""Faults of the code that is measured: in an A/B the base does not have them."""
_MOST = 64
_HOST = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_FAULT_AT = re.compile(r"(?P<fault>[a-z]+)@(?P<index>\d{1,2})")
_VBIOS = {"vbios": "SIM.02"}
_DRIVER = {"driver": "SIM.02"}
_HALF_A_LINK = PcieLink(generation=5, width=8, max_generation=5, max_width=16)


def simulated(
    profile: HardwareProfile, index: int = 0, fault: Fault | None = None, host: str | None = None
) -> Device:
    """A simulated device; `index` tells the GPUs of a simulated node apart."""
    device = Device(
        kind="sim",
        index=index,
        name=f"SIMULATED {profile.device_names[0]}",
        compute_capability=profile.compute_capability if profile.vendor == "NVIDIA" else None,
        sm_count=profile.sm_count,
        memory_bytes=round(profile.memory_bytes),
        llc_bytes=None if profile.l2_mb is None else round(profile.l2_mb * (1 << 20)),
        memory_bus_bits=profile.memory_bus_bits,
        max_sm_clock_mhz=None if profile.boost_mhz is None else round(profile.boost_mhz),
        power_limit_w=profile.tdp_w,
        default_power_limit_w=profile.tdp_w,
        profile_id=profile.id,
        vbios=_VBIOS.get(fault or "", "SIM.01"),
        driver=_DRIVER.get(fault or "", "SIM.01"),
        injected_fault=fault,
        pci=f"0000:{0x18 + index:02x}:00.0",
        serial=f"SIM{index:04d}" if host is None else f"SIM-{host}-{index:04d}",
        host=host,
    )
    return replace(device, pcie=_HALF_A_LINK) if fault == "pcie" else device


def simulated_devices(text: str) -> tuple[Device, ...]:
    """Devices of `PROFILE[*COUNT][@HOST][+FAULT@INDEX]`; UsageError for any other text."""
    what, *faulty = text.split("+")
    what, at, host = what.partition("@")
    if at and _HOST.fullmatch(host) is None:
        hint = "letters a to z, digits, - and ."
        raise UsageError(f"'{host}' is not the name of a host", where="--device", hint=hint)
    name, _, count = what.partition("*")
    profile = catalog.profile(name)
    if count and not (count.isdecimal() and 1 <= int(count) <= _MOST):
        hint = f"sim:PROFILE*N with N from 1 to {_MOST}"
        raise UsageError(f"'{count}' is not a number of simulated devices", where="--device", hint=hint)
    number = int(count or 1)
    faults = dict(_fault(one, number) for one in faulty)
    return tuple(simulated(profile, index, faults.get(index), host or None) for index in range(number))


def _fault(text: str, devices: int) -> tuple[int, Fault]:
    match = _FAULT_AT.fullmatch(text)
    if match is None or int(match["index"]) >= devices:
        which = "0" if devices == 1 else f"0 to {devices - 1}"
        hint = f"+FAULT@INDEX: INDEX is {which}, FAULT one of {', '.join(FAULTS)}"
        raise UsageError(f"'+{text}' plants no fault in these devices", where="--device", hint=hint)
    for fault in FAULTS:
        if fault == match["fault"]:
            return int(match["index"]), fault
    raise unknown_name("fault", match["fault"], list(FAULTS), "--device")
