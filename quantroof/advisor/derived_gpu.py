"""A GPU that is not listed, from its figures: `cc=8.9,sms=46,clock=2475,memory=12,bandwidth=504`."""

from __future__ import annotations

from quantroof.errors import UsageError, unknown_name
from quantroof.hwprofiles.compute import capabilities
from quantroof.hwprofiles.derive import peaks
from quantroof.hwprofiles.types import Figure, HardwareProfile, RateClass

_NUMBERS = {"sms": "SMs", "clock": "MHz", "memory": "GiB", "bandwidth": "GB/s"}
_KEYS = ("cc", *_NUMBERS, "class", "tensor-clock")
_EXAMPLE = "cc=8.9,sms=46,clock=2475,memory=12,bandwidth=504,class=geforce"
_CLASSES: dict[str, RateClass] = {"full": "full", "half": "half", "geforce": "geforce"}


def derived_gpu(text: str) -> HardwareProfile:
    """A profile by formula. UsageError names the figure that is missing or is not a number."""
    stated = _stated(text)
    absent = [name for name in ("cc", *_NUMBERS) if name not in stated]
    if absent:
        raise UsageError(f"a derived GPU needs {', '.join(absent)}", where="--gpu", hint=_EXAMPLE)
    numbers = {name: _number(name, stated[name]) for name in (*_NUMBERS, "tensor-clock") if name in stated}
    if stated.get("class", "full") not in _CLASSES:
        raise unknown_name("rate class", stated["class"], list(_CLASSES), "--gpu")
    rate_class = _CLASSES[stated.get("class", "full")]
    clock, sms = numbers["clock"], round(numbers["sms"])
    found = peaks(stated["cc"], sms, clock, numbers.get("tensor-clock", clock), rate_class)
    unit = capabilities()[stated["cc"]]
    return HardwareProfile(
        id="derived",
        device_names=(f"derived GPU ({sms} SM, {clock:g} MHz, {stated['cc']})",),
        vendor="NVIDIA",
        architecture=unit.architecture,
        compute_capability=stated["cc"],
        sm_count=sms,
        boost_mhz=clock,
        memory_gb=numbers["memory"] * (1 << 30) / 1e9,
        memory_mib=numbers["memory"] * 1024,
        memory_type="stated",
        rate_class=rate_class,
        bandwidth_gbps=Figure(value=numbers["bandwidth"], source="stated by the user", basis="derived"),
        peaks=found,
        origin="derived",
    )


def _stated(text: str) -> dict[str, str]:
    stated: dict[str, str] = {}
    for item in text.split(","):
        key, _, value = item.partition("=")
        if key.strip().lower() not in _KEYS:
            raise unknown_name("figure", key.strip(), list(_KEYS), "--gpu")
        stated[key.strip().lower()] = value.strip()
    return stated


def _number(name: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        unit = _NUMBERS.get(name, "MHz")
        raise UsageError(f"{name}='{text}' is not a number of {unit}", where="--gpu", hint=_EXAMPLE)
    return value
