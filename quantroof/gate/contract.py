"""The contract a baseline holds under: the device, its driver and caps, the suite and how it was measured."""

from __future__ import annotations

import hashlib

import msgspec

from quantroof.errors import UsageError
from quantroof.gate.times import RunTimes
from quantroof.hwprofiles.types import DeviceKind


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be the same. `suite_text` is a hash of the suite's file: another text alone is a remark."""

    device: str
    kind: DeviceKind
    driver: str | None = None
    power_limit_w: float | None = None
    ecc: bool | None = None
    mig: str | None = None
    suite: str
    suite_text: str
    mode: str
    cache: str
    eager: bool = False


_MACHINE = {
    "device": "another device",
    "driver": "another driver",
    "power_limit_w": "another power cap (W)",
    "ecc": "another ECC setting",
    "mig": "another MIG slice",
}
_METHOD = {
    "kind": "another kind of device",
    "suite": "another suite",
    "mode": "another mode",
    "cache": "another cache state",
    "eager": "another way of timing (eager)",
}


def contract_of(times: RunTimes) -> Contract:
    """The contract a run was measured under."""
    info, device = times.run.info, times.device
    settings = info.settings
    return Contract(
        device=device.name,
        kind=device.kind,
        driver=device.driver,
        power_limit_w=device.power_limit_w,
        ecc=device.ecc,
        mig=device.mig,
        suite=info.suite,
        suite_text=hashlib.sha256(info.suite_source.encode()).hexdigest()[:16],
        mode=str(settings.get("mode", "burst")),
        cache=str(settings.get("cache", "cold")),
        eager=bool(settings.get("eager", False)),
    )


def machine_breaches(agreed: Contract, found: Contract) -> list[str]:
    """What about the machine is not as agreed, in words: no ground for a verdict, but nobody's mistake."""
    return _differences(agreed, found, _MACHINE)


def require_same_method(agreed: Contract, found: Contract, where: str) -> None:
    """UsageError where suite, mode or cache state are not as agreed: the wrong baseline or the wrong run."""
    breaches = _differences(agreed, found, _METHOD)
    if breaches:
        hint = "take the baseline that was made for this suite and mode"
        raise UsageError(f"it was made for {'; '.join(breaches)}", where=where, hint=hint)


def _differences(agreed: Contract, found: Contract, names: dict[str, str]) -> list[str]:
    return [
        f"{words}: {getattr(agreed, name)}, and this run has {getattr(found, name)}"
        for name, words in names.items()
        if getattr(agreed, name) != getattr(found, name)
    ]
