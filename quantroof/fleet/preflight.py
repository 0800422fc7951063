"""What a GPU itself says is wrong, whatever its speed: memory errors, links, limits, throttling, results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from quantroof.fleet.collection import Unit
from quantroof.fleet.policy import Policy
from quantroof.hwprofiles.catalog import match
from quantroof.hwprofiles.checks import cross_check
from quantroof.hwprofiles.types import HardwareProfile

Grade = Literal["failed", "defective", "below policy", "not judged", "note"]
GRADES: tuple[Grade, ...] = ("failed", "defective", "below policy", "not judged", "note")
"""The gravest first. A `note` is worth knowing beside a verdict and never is one."""

_ALIKE: dict[str, Grade] = {
    "ecc": "failed", "mig": "failed", "max_sm_clock_mhz": "failed", "driver": "note", "vbios": "note",
}  # fmt: skip
"""What siblings have in common, and how grave it is to differ. Versions are compared as groups of nodes."""
_WORDS = {"ecc": "ECC", "mig": "MIG", "max_sm_clock_mhz": "its highest SM clock", "vbios": "VBIOS"}
_COMMON = 0.5  # what this share of siblings has in common is how the site set them up


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing against a GPU: a code for programs, a sentence with the number for people."""

    grade: Grade
    code: str
    text: str


def preflight(units: list[Unit], policy: Policy) -> tuple[list[list[Finding]], list[str]]:
    """Findings of every unit of one population, and remarks on what most of them have in common."""
    own = [_own(unit, policy) for unit in units]
    facts = _facts(units)
    common = {c for c, n in Counter(code for fact in facts for code in fact).items() if _shared(n, units)}
    remarks = [
        f"most GPUs alike: {next(fact[code] for fact in facts if code in fact)}" for code in sorted(common)
    ]
    found = [
        [*mine, *(Finding("failed", code, text) for code, text in fact.items() if code not in common)]
        for mine, fact in zip(own, facts, strict=True)
    ]
    for name, grade in _ALIKE.items():
        for index, finding in _unlike(units, name, grade):
            found[index].append(finding)
    for index, finding in _failed_kernels(units):
        found[index].append(finding)
    if _shared(failed := sum(bool(u.failed) for u in units), units):
        remarks.append(f"most GPUs alike: kernels failed on {failed} of {len(units)}")
    return found, remarks + _several(units, "driver", "drivers") + _several(units, "vbios", "VBIOS versions")


def _own(unit: Unit, policy: Policy) -> list[Finding]:
    """What needs nobody to compare with."""
    found = []
    if unit.ecc_errors:
        text = f"{unit.ecc_errors} uncorrected memory errors while it was measured"
        found.append(Finding("failed", "ecc_errors", text))
    if unit.xid:
        found.append(Finding("failed", "xid", f"critical driver errors (XID) in {unit.xid} measurements"))
    if unit.incorrect:
        found.append(Finding("failed", "incorrect", f"kernels that computed wrongly: {unit.incorrect}"))
    share = unit.faulty_clock / max(unit.rows, 1)
    if share > policy.throttled_share:
        text = f"thermal or hardware slowdown in {unit.faulty_clock} of {unit.rows} measurements"
        found.append(Finding("defective", "throttling", text))
    if unit.foreign * 2 > unit.rows:
        text = f"other processes used it in {unit.foreign} of {unit.rows} measurements: measure it alone"
        found.append(Finding("not judged", "busy", text))
    return found


def _facts(units: list[Unit]) -> list[dict[str, str]]:
    """Contradictions between each device and the catalog or itself, by code."""
    profiles: dict[tuple[object, ...], HardwareProfile | None] = {}
    facts = []
    for device in (unit.device for unit in units):
        kind = (device.name, device.mig, device.sm_count, device.memory_bytes, device.profile_id)
        if kind not in profiles:
            profiles[kind] = match(device)
        checks = cross_check(device, profiles[kind])
        facts.append({check.code: check.text for check in checks if check.level == "warn"})
    return facts


def _unlike(units: list[Unit], name: str, grade: Grade) -> Iterator[tuple[int, Finding]]:
    """GPUs whose setting, clock limit or version is not that of most siblings."""
    values = Counter(getattr(u.device, name) for u in units)
    usual, count = values.most_common(1)[0]
    if not _shared(count, units) or (usual is None and name != "mig"):
        return
    words = {True: "on", False: "off", None: "off"}
    unit_word = " MHz" if name.endswith("_mhz") else ""
    for index, unit in enumerate(units):
        mine = getattr(unit.device, name)
        if mine not in (usual, None):
            here, there = words.get(mine, mine), words.get(usual, usual)
            text = f"{_WORDS.get(name, name)} is {here}{unit_word}, on most siblings {there}{unit_word}"
            yield index, Finding(grade, f"{name}_unlike", text)


def _failed_kernels(units: list[Unit]) -> Iterator[tuple[int, Finding]]:
    """GPUs on which kernels failed, where most siblings run them all."""
    if _shared(sum(bool(u.failed) for u in units), units):
        return
    for index, unit in enumerate(units):
        if unit.failed:
            text = f"kernels that failed: {unit.failed}" + (", siblings run them" if len(units) > 1 else "")
            yield index, Finding("failed", "kernels_failed", text)


def _several(units: list[Unit], name: str, words: str) -> list[str]:
    """Versions are compared as groups; that there are several is worth a line."""
    versions = Counter(v for unit in units if (v := getattr(unit.device, name)))
    if len(versions) < 2:
        return []
    return [f"{len(versions)} {words}: {', '.join(f'{v} ({n})' for v, n in versions.most_common(9))}"]


def _shared(count: int, units: list[Unit]) -> bool:
    return len(units) > 1 and count > _COMMON * len(units)
