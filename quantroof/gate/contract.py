"""The contract of a baseline: the device, its driver and limits, the suite and how it was measured."""

from __future__ import annotations

import hashlib

import msgspec

from quantroof.errors import UsageError
from quantroof.gate.times import RunTimes
from quantroof.hwprofiles.types import DeviceKind, isa_change
from quantroof.records.run import environment_changes


class Contract(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must be the same. `suite_text` is a hash of the suite's file: if only that differs, it is a
    remark."""

    device: str
    kind: DeviceKind
    driver: str | None = None
    power_limit_w: float | None = None
    ecc: bool | None = None
    mig: str | None = None
    threads: int | None = None
    isa: tuple[str, ...] = ()
    environment: dict[str, str] | None = None
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
    return Contract(
        device=device.name,
        kind=device.kind,
        driver=device.driver,
        power_limit_w=device.power_limit_w,
        ecc=device.ecc,
        mig=device.mig,
        threads=device.cpu.usable_cores if device.cpu else None,
        isa=device.cpu.isa if device.cpu else (),
        environment=info.environment,
        suite=info.suite,
        suite_text=hashlib.sha256(info.suite_source.encode()).hexdigest()[:16],
        mode=info.options.mode,
        cache=info.options.cache,
        eager=info.options.eager,
    )


def machine_breaches(agreed: Contract, actual: Contract) -> list[str]:
    """How the machine differs from the contract. It forbids a verdict, but it is not a usage error."""
    breaches = _differences(agreed, actual, _MACHINE)
    if None not in (agreed.threads, actual.threads):  # a baseline of an older version has none
        breaches += _differences(agreed, actual, {"threads": "another number of threads"})
    if sets := isa_change(agreed.isa, actual.isa):
        breaches.append(f"other instruction sets: {sets}")
    changes = environment_changes(agreed.environment, actual.environment)
    return breaches + ([f"another environment: {', '.join(changes)}"] if changes else [])


def require_same_method(agreed: Contract, actual: Contract, where: str) -> None:
    """UsageError if suite, mode or cache state differ: it is the wrong baseline or the wrong run."""
    breaches = _differences(agreed, actual, _METHOD)
    if breaches:
        hint = "use the baseline of this suite and mode"
        raise UsageError(f"it was made for {'; '.join(breaches)}", where=where, hint=hint)


def _differences(agreed: Contract, actual: Contract, names: dict[str, str]) -> list[str]:
    return [
        f"{words}: {getattr(agreed, name)}, and this run has {getattr(actual, name)}"
        for name, words in names.items()
        if getattr(agreed, name) != getattr(actual, name)
    ]
