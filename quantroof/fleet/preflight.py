"""Findings that do not depend on speed: memory errors, links, limits, throttling, wrong results."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from quantroof.analysis.trust import DISTURBED_SHARE
from quantroof.finding import Finding, Level
from quantroof.fleet.collection import Unit
from quantroof.fleet.policy import Policy
from quantroof.hwprofiles.catalog import match
from quantroof.hwprofiles.checks import cross_check
from quantroof.hwprofiles.types import HardwareProfile

_ALIKE: dict[str, Level] = {
    "ecc": "failed", "mig": "failed", "max_sm_clock_mhz": "failed", "driver": "note", "vbios": "note",
}  # fmt: skip
"""What siblings should have in common, and the level of the finding where a GPU differs. Versions are
compared by groups."""
_WORDS = {"ecc": "ECC", "mig": "MIG", "max_sm_clock_mhz": "its highest SM clock", "vbios": "VBIOS"}
_CAP = "power_cap"  # code of hwprofiles.checks
_COMMON = 0.5  # what more than this share of siblings has in common is the site's setup


def preflight(
    units: list[Unit], policy: Policy, *, odd_cap: bool = False
) -> tuple[list[list[Finding]], list[str]]:
    """Findings of every unit of one population, and remarks on what most of them have in common.

    A power cap is a property that a site chooses, unless `odd_cap`: few GPUs have it, and most siblings have
    another limit.
    """
    own = [_own(unit, policy) for unit in units]
    facts = _facts(units)
    levels: dict[str, Level] = {_CAP: "degraded" if odd_cap else "note"}
    counts = Counter(code for fact in facts for code in fact)
    common = {c for c, n in counts.items() if _shared(n, units) and not (odd_cap and c == _CAP)}
    remarks = [
        f"on most GPUs: {next(fact[code] for fact in facts if code in fact)}" for code in sorted(common)
    ]
    findings = [
        [
            *unit_findings,
            *(
                Finding(levels.get(code, "failed"), code, text)
                for code, text in fact.items()
                if code not in common
            ),
        ]
        for unit_findings, fact in zip(own, facts, strict=True)
    ]
    for name, level in _ALIKE.items():
        for index, finding in _unlike(units, name, level):
            findings[index].append(finding)
    for index, finding in _failed_kernels(units):
        findings[index].append(finding)
    if _shared(failed := sum(bool(u.failed) for u in units), units):
        remarks.append(f"on most GPUs: kernels failed on {failed} of {len(units)}")
    return findings, remarks + _several(units, "driver", "drivers") + _several(
        units, "vbios", "VBIOS versions"
    )


def _own(unit: Unit, policy: Policy) -> list[Finding]:
    """Findings that need no comparison."""
    findings = list(unit.beside)
    if unit.ecc_errors:
        text = f"{unit.ecc_errors} uncorrectable ECC errors during the measurement"
        findings.append(Finding("failed", "ecc_errors", text))
    if unit.xid:
        findings.append(Finding("failed", "xid", f"critical driver errors (XID) in {unit.xid} measurements"))
    if unit.incorrect:
        findings.append(Finding("failed", "incorrect", f"kernels with wrong results: {unit.incorrect}"))
    if unit.faulty_clock > policy.throttled_share * unit.rows:
        text = f"thermal or hardware slowdown in {unit.faulty_clock} of {unit.rows} measurements"
        findings.append(Finding("degraded", "throttling", text))
    if unit.foreign > DISTURBED_SHARE * unit.rows:
        what = f"other processes used it in {unit.foreign} of {unit.rows} measurements"
        text = f"{what}: repeat on an idle {'CPU' if unit.device.kind == 'cpu' else 'GPU'}"
        findings.append(Finding("unknown", "busy", text))
    return findings


def _facts(units: list[Unit]) -> list[dict[str, str]]:
    """Contradictions between each device and the catalog or itself, by code."""
    profiles: dict[tuple[object, ...], HardwareProfile | None] = {}
    facts = []
    for device in (unit.device for unit in units):
        kind = (device.name, device.mig, device.sm_count, device.memory_bytes, device.profile_id)
        if kind not in profiles:
            profiles[kind] = match(device)
        checks = cross_check(device, profiles[kind])
        facts.append({check.code: check.text for check in checks if check.level == "warning"})
    return facts


def _unlike(units: list[Unit], name: str, level: Level) -> Iterator[tuple[int, Finding]]:
    """GPUs whose setting, clock limit or version differs from that of most siblings."""
    values = Counter(getattr(u.device, name) for u in units)
    usual, count = max(values.items(), key=lambda item: item[1])
    if not _shared(count, units) or (usual is None and name != "mig"):
        return
    words = {True: "on", False: "off", None: "off"}
    unit_word = " MHz" if name.endswith("_mhz") else ""
    for index, unit in enumerate(units):
        own = getattr(unit.device, name)
        if own not in (usual, None):
            here, there = words.get(own, own), words.get(usual, usual)
            text = f"{_WORDS.get(name, name)} is {here}{unit_word}, on most siblings {there}{unit_word}"
            yield index, Finding(level, f"{name}_unlike", text)


def _failed_kernels(units: list[Unit]) -> Iterator[tuple[int, Finding]]:
    """GPUs on which kernels failed that run on most siblings."""
    if _shared(sum(bool(u.failed) for u in units), units):
        return
    for index, unit in enumerate(units):
        if unit.failed:
            others = " but ran on the other GPUs" if len(units) > 1 else ""
            text = f"{unit.failed} kernel{'s' * (unit.failed != 1)} failed here{others}"
            yield index, Finding("failed", "kernels_failed", text)


def _several(units: list[Unit], name: str, words: str) -> list[str]:
    """A remark where there are several versions; groups compare their speed."""
    versions = Counter(v for unit in units if (v := getattr(unit.device, name)))
    if len(versions) < 2:
        return []
    return [f"{len(versions)} {words}: {', '.join(f'{v} ({n})' for v, n in versions.most_common(9))}"]


def _shared(count: int, units: list[Unit]) -> bool:
    return len(units) > 1 and count > _COMMON * len(units)
