"""The catalog of hardware profiles: lists them, and finds the profile of a device."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from quantroof.errors import UsageError, unknown_name
from quantroof.files import read_text
from quantroof.hwprofiles.profile_file import read_profiles
from quantroof.hwprofiles.slices import mig_slice
from quantroof.hwprofiles.types import Device, HardwareProfile

_OWN: list[tuple[str, str]] = []  # name and text of each data file that the user added
_VENDOR_PREFIX = re.compile(r"^NVIDIA ", re.IGNORECASE)
_MAKERS = ("nvidia", "geforce", "amd", "instinct")
# Systems that people name for the GPU inside.
_SYSTEMS = {
    "dgx-spark": "gb10",
    "dgx-h100": "h100-sxm5-80gb",
    "dgx-h200": "h200-sxm",
    "dgx-b200": "b200",
    "dgx-b300": "b300",
    "jetson-agx-orin": "jetson-agx-orin-64gb",
    "jetson-agx-thor": "jetson-thor-128gb",
}
_LISTING = "quantroof hardware list"
_SEPARATORS = re.compile(r"[\s_-]+")
_MEMORY = re.compile(r"(\d+)gi?b")


@lru_cache(maxsize=1)
def profiles() -> dict[str, HardwareProfile]:
    """Every profile by id; two with one id, or one name without a discriminator, are refused."""
    by_id: dict[str, HardwareProfile] = {}
    shipped = sorted((files("quantroof.hwprofiles") / "profiles").iterdir(), key=lambda e: e.name)
    texts = [(e.name, e.read_text(encoding="utf-8")) for e in shipped if e.name.endswith(".toml")]
    for where, text in [*texts, *_OWN]:
        for profile in read_profiles(text, where):
            if profile.id in by_id:
                raise UsageError(f"profile {profile.id} is in the catalog already", where=where)
            by_id[profile.id] = profile
    check_names(by_id.values())
    return by_id


def add(file: Path) -> None:
    """Add a user's data file to the catalog of this process; UsageError names what is wrong in it."""
    _OWN.append((str(file), read_text(file)))
    profiles.cache_clear()
    profiles()


def profile(profile_id: str) -> HardwareProfile:
    """The profile of an id; UsageError with the nearest ones where there is none."""
    by_id = profiles()
    if profile_id not in by_id:
        raise unknown_gpu(profile_id)
    return by_id[profile_id]


def unknown_gpu(name: str, where: str | None = None) -> UsageError:
    """The error for a GPU that the catalog does not list."""
    return unknown_name("GPU", name, list(profiles()), where, listing=_LISTING)


def match(device: Device) -> HardwareProfile | None:
    """The profile of a device by its exact name, told apart by SM count or memory where names are shared.

    A MIG slice gets its GPU's profile scaled to the slice; a simulated device the profile it simulates. None
    for a device that nobody listed, and where the discriminators cannot be read.
    """
    if device.kind == "sim":
        return profiles().get(device.profile_id or "")
    named = by_name(device.name.partition(" MIG ")[0])
    fitting = [p for p in named if device.mig or _fits(p, device)]
    if len(fitting) != 1:
        return None
    return mig_slice(fitting[0], device) if device.mig else fitting[0]


def by_name(name: str) -> list[HardwareProfile]:
    """Every profile of a device name, exact but for case and a leading `NVIDIA`."""
    return [p for p in profiles().values() if _bare(name) in map(_bare, p.device_names)]


def named(text: str) -> list[HardwareProfile]:
    """Every profile that a typed name means: an id, a device name, or words that all belong to one id.

    `rtx4090` and `RTX 4090` are rtx-4090, `H100 SXM` is h100-sxm5-80gb, and `H100` is every H100.
    """
    words = [word for word in _SEPARATORS.split(text.lower()) if word and word not in _MAKERS]
    if not words:
        return []
    by_id = profiles()
    named_id = _SYSTEMS.get("-".join(words), text.lower())
    if named_id in by_id:
        return [by_id[named_id]]
    squeezed = "".join(words)
    return (
        by_name(text)
        or [p for p in by_id.values() if p.id.replace("-", "") == squeezed]
        or [p for p in by_id.values() if p.id.startswith("-".join(words) + "-")]
        or [p for p in by_id.values() if all(_describes(word, p) for word in words)]
    )


def _describes(word: str, candidate: HardwareProfile) -> bool:
    """True for a part of the id, for the letters that start one (`sxm` of sxm5), and for the memory size."""
    size = _MEMORY.fullmatch(word)
    if size is not None:
        return candidate.memory_gb == float(size[1])
    return any(part == word or (word.isalpha() and part.startswith(word)) for part in candidate.id.split("-"))


def _bare(name: str) -> str:
    """Drivers before R470 left the vendor's name out."""
    return _VENDOR_PREFIX.sub("", name.strip()).lower()


def _fits(candidate: HardwareProfile, device: Device) -> bool:
    """True where nothing known contradicts the discriminators and at least one of them is known."""
    if not candidate.discriminators:
        return True
    answers = {
        "sm_count": None if device.sm_count is None else device.sm_count == candidate.sm_count,
        "memory_gb": None if device.memory_bytes is None else candidate.has_memory(device.memory_bytes),
    }
    agreements = [answers[d] for d in candidate.discriminators if answers[d] is not None]
    return bool(agreements) and all(agreements)


def check_names(candidates: Iterable[HardwareProfile]) -> None:
    """Refuse two profiles of one device name that nothing distinguishes."""
    owners: dict[str, HardwareProfile] = {}
    for candidate in candidates:
        for name in map(_bare, candidate.device_names):
            other = owners.setdefault(name, candidate)
            if other is not candidate and not (other.discriminators and candidate.discriminators):
                raise UsageError(
                    f"{other.id} and {candidate.id} share the name '{name}' without a discriminator",
                    hint="give both `discriminators`, such as sm_count",
                )
