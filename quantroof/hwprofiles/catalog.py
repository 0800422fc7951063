"""The catalog of hardware profiles: TOML data files, one an architecture, checked while they are read."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from quantroof.errors import UsageError, unknown_name
from quantroof.hwprofiles.types import Device, HardwareProfile

_VENDOR_PREFIX = re.compile(r"^NVIDIA ", re.IGNORECASE)


class _File(msgspec.Struct, forbid_unknown_fields=True):
    profile: tuple[HardwareProfile, ...]


def read_profiles(text: str, where: str) -> tuple[HardwareProfile, ...]:
    """Parse one data file. UsageError names file, key and reason for anything malformed."""
    try:
        data: dict[str, Any] = tomllib.loads(text)
        found = msgspec.convert(data, _File).profile
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"not TOML: {error}", where=where) from None
    except msgspec.ValidationError as error:
        raise UsageError(str(error), where=where) from None
    for profile in found:
        _check_rates(profile, where)
    return found


def _check_rates(profile: HardwareProfile, where: str) -> None:
    place = f"{where}: {profile.id}"
    if profile.bandwidth_gbps.value <= 0:
        raise UsageError(f"bandwidth_gbps is {profile.bandwidth_gbps.value}, not positive", where=place)
    keys = [peak.key for peak in profile.peaks]
    for peak in profile.peaks:
        if peak.tflops <= 0:
            raise UsageError(f"{peak.key}: tflops is {peak.tflops}, not positive", where=place)
        if not peak.source:
            raise UsageError(f"{peak.key}: no source", where=place)
        if peak.sparse_tflops is not None and peak.sparse_tflops > 2.001 * peak.tflops:
            raise UsageError(f"{peak.key}: sparse is more than twice dense", where=place)
        if keys.count(peak.key) > 1:
            raise UsageError(f"{peak.key} stands there twice", where=place)


@lru_cache(maxsize=1)
def profiles() -> dict[str, HardwareProfile]:
    """Every profile by id; two with one id, or one name without a discriminator, are refused."""
    found: dict[str, HardwareProfile] = {}
    for entry in sorted((files("quantroof.hwprofiles") / "profiles").iterdir(), key=lambda e: e.name):
        if not entry.name.endswith(".toml"):
            continue
        for profile in read_profiles(entry.read_text(encoding="utf-8"), entry.name):
            if profile.id in found:
                raise UsageError(f"profile {profile.id} stands in the catalog twice", where=entry.name)
            found[profile.id] = profile
    _check_names(found.values())
    return found


def profile(profile_id: str) -> HardwareProfile:
    """The profile of an id; UsageError with the nearest ones where there is none."""
    found = profiles()
    if profile_id not in found:
        raise unknown_name("hardware profile", profile_id, list(found))
    return found[profile_id]


def match(device: Device) -> HardwareProfile | None:
    """The profile of a device by its exact name, told apart by SM count or memory where names are shared.

    A simulated device matches the profile it simulates. None for a device that nobody listed.
    """
    if device.kind == "sim":
        return profiles().get(device.profile_id or "")
    named = [p for p in profiles().values() if _bare(device.name) in map(_bare, p.device_names)]
    fitting = [p for p in named if _fits(p, device)]
    return fitting[0] if len(fitting) == 1 else None


def _bare(name: str) -> str:
    """Drivers before R470 left the vendor's name out."""
    return _VENDOR_PREFIX.sub("", name.strip())


def _fits(candidate: HardwareProfile, device: Device) -> bool:
    if "sm_count" in candidate.discriminators and device.sm_count not in (None, candidate.sm_count):
        return False
    if "memory_gb" in candidate.discriminators and device.memory_bytes is not None:
        # Marketing gigabytes against what is left after ECC and firmware: within an eighth.
        return abs(device.memory_bytes / 1e9 / candidate.memory_gb - 1) < 0.125
    return True


def _check_names(found: Iterable[HardwareProfile]) -> None:
    seen: dict[str, HardwareProfile] = {}
    for candidate in found:
        for name in map(_bare, candidate.device_names):
            other = seen.setdefault(name, candidate)
            if other is not candidate and not (other.discriminators and candidate.discriminators):
                raise UsageError(
                    f"{other.id} and {candidate.id} share the name '{name}' without a discriminator"
                )
