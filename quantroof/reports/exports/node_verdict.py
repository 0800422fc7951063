"""The state of nodes in the shape of Health Validation's `NodeVerdict`: a list of severities by component.

The names follow NVIDIA's documents; the schema file itself was not at hand, so a consumer checks it first.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from quantroof.finding import Finding, Level
from quantroof.reports.exports.documents import write_document

if TYPE_CHECKING:
    from quantroof.fleet.analysis import Analysis, GpuResult

Severity = Literal["PASS", "INFO", "WARNING", "CRITICAL", "UNKNOWN"]
_BY_LEVEL: dict[Level, Severity] = {
    "ok": "PASS", "note": "INFO", "warning": "WARNING", "degraded": "CRITICAL",
    "failed": "CRITICAL", "unknown": "UNKNOWN",
}  # fmt: skip
"""Health Validation lets a node with warnings pass. What quantroof would drain must not pass: CRITICAL."""
_GRAVEST: tuple[Severity, ...] = ("CRITICAL", "UNKNOWN", "WARNING", "INFO", "PASS")
_CATEGORIES = (
    ("link", "interconnect"), ("pcie", "interconnect"), ("memory", "memory"), ("datasheet", "memory"),
    ("ecc", "memory"), ("row_", "memory"), ("compute", "compute"), ("throttling", "thermal"),
    ("slowdown", "thermal"), ("power", "power"),
)  # fmt: skip


class AffectedComponent(msgspec.Struct, frozen=True, kw_only=True):
    """Findings of one category on a node, and the GPUs that have them."""

    category: str
    max_severity: Severity
    check_ids: list[str]
    entities: list[dict[str, str]]
    messages: list[str]


class NodeVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One node: the gravest severity, and what it comes from."""

    node: str
    overall_severity: Severity
    affected_components: list[AffectedComponent]
    simulated: bool


def node_verdicts(analysis: Analysis) -> list[NodeVerdict]:
    """Every node, the worst first."""
    return [_verdict(name, gpus) for name, gpus in analysis.nodes()]


def write(analysis: Analysis, target: Path) -> None:
    """All nodes as one JSON document."""
    write_document({"node_verdicts": msgspec.to_builtins(node_verdicts(analysis))}, target)


def _verdict(name: str, gpus: list[GpuResult]) -> NodeVerdict:
    found = [(gpu, finding) for gpu in gpus for finding in gpu.findings]
    return NodeVerdict(
        node=name,
        overall_severity=_gravest(found),
        affected_components=list(_components(found)),
        simulated=any(gpu.population.simulated for gpu in gpus),
    )


def _gravest(found: list[tuple[GpuResult, Finding]]) -> Severity:
    """The gravest severity of some findings; PASS of none."""
    return min((_BY_LEVEL[finding.level] for _, finding in found), key=_GRAVEST.index, default="PASS")


def _components(found: list[tuple[GpuResult, Finding]]) -> Iterator[AffectedComponent]:
    for category in dict.fromkeys(_category(finding) for _, finding in found):
        own = [(gpu, finding) for gpu, finding in found if _category(finding) == category]
        gpus = {gpu.unit.identity: gpu for gpu, _ in own}
        yield AffectedComponent(
            category=category,
            max_severity=_gravest(own),
            check_ids=list(dict.fromkeys(f"quantroof.{finding.code}" for _, finding in own)),
            entities=[_entity(gpu) for gpu in gpus.values()],
            messages=[f"{gpu.unit.device.id}: {finding.text}" for gpu, finding in own],
        )


def _entity(gpu: GpuResult) -> dict[str, str]:
    device = gpu.unit.device
    entity = {
        "type": "GPU", "id": device.id, "uuid": device.uuid, "pci": device.pci, "serial": device.serial
    }  # fmt: skip
    return {name: value for name, value in entity.items() if value}


def _category(finding: Finding) -> str:
    return next((name for start, name in _CATEGORIES if finding.code.startswith(start)), "gpu")
