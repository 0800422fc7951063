"""One node's answer out of a fleet analysis: healthy, degraded or failed, the reason first."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Literal

from quantroof.fleet.analysis import Analysis, GpuResult
from quantroof.fleet.preflight import GRADES, Finding, Grade
from quantroof.hwprofiles.types import Device

NodeState = Literal["failed", "degraded", "not judged", "healthy"]
NODE_STATES: tuple[NodeState, ...] = ("failed", "degraded", "not judged", "healthy")
"""The gravest first."""
_BY_GRADE: dict[Grade, NodeState] = {
    "failed": "failed", "defective": "degraded", "below policy": "degraded", "not judged": "not judged",
    "note": "healthy",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GpuReport:
    """One GPU. `reasons` are the gravest first; `judged` holds the analysis by mode, burst and sustained."""

    device: Device
    verdict: NodeState
    reasons: tuple[Finding, ...]
    judged: dict[str, GpuResult]


@dataclass(frozen=True, slots=True)
class NodeReport:
    """The node: its GPUs, the worst first. `reason` is the gravest of all, None for a healthy node."""

    node: str
    verdict: NodeState
    reason: str | None
    gpus: tuple[GpuReport, ...]
    remarks: tuple[str, ...]
    problems: tuple[str, ...]
    simulated: bool


@dataclass(frozen=True, slots=True)
class NodeEvidence:
    """What is known beside the analysis: findings of NVML and why lines failed, both by device, and which
    runs are ours."""

    live: dict[str, list[Finding]]
    run_ids: set[str]
    failures: dict[str, str]


def node_report(
    node: str,
    devices: tuple[Device, ...],
    found: list[Analysis],
    seen: NodeEvidence,
    expected: int | None = None,
) -> NodeReport:
    """Join the analysis of each mode with what else was seen.

    Fewer devices than `expected` is a failed node, whatever the others do.
    """
    ours: dict[str, dict[str, GpuResult]] = defaultdict(dict)
    for judged in (gpu for analysis in found for gpu in analysis.gpus):
        if judged.unit.run_id in seen.run_ids:
            ours[judged.unit.device.id][judged.population.mode] = judged
    gpus = [_gpu(device, ours[device.id], seen) for device in devices]
    gpus.sort(key=lambda gpu: NODE_STATES.index(gpu.verdict))
    missing = expected is not None and len(devices) < expected
    lost = f"{len(devices)} GPUs are here, {expected} should be" if missing else None
    verdict: NodeState = "failed" if lost else min((g.verdict for g in gpus), key=NODE_STATES.index)
    remarks = dict.fromkeys(text for a in found for kind in a.populations for text in kind.remarks)
    problems = dict.fromkeys(text for analysis in found for text in analysis.problems)
    return NodeReport(
        node, verdict, lost or _reason(gpus), tuple(gpus), tuple(remarks),
        tuple(problems), any(d.kind == "sim" for d in devices),
    )  # fmt: skip


def _reason(gpus: list[GpuReport]) -> str | None:
    """The first reason of the worst GPU, and how many others are as bad."""
    worst = gpus[0]
    if worst.verdict == "healthy":
        return None
    more = sum(gpu.verdict == worst.verdict for gpu in gpus) - 1
    also = f"; {more} more {worst.verdict}" if more else ""
    return f"{worst.device.id}: {worst.reasons[0].text}{also}"


def _gpu(device: Device, judged: dict[str, GpuResult], seen: NodeEvidence) -> GpuReport:
    """A reason that both modes give in the same words is told once, and others with their mode."""
    modes: dict[Finding, list[str]] = {finding: [] for finding in seen.live.get(device.id, [])}
    for mode, one in judged.items():
        for finding in one.findings:
            modes.setdefault(finding, []).append(mode)
    reasons = [
        _in_context(finding, where if len(where) < len(judged) else [], seen.failures.get(device.id))
        for finding, where in modes.items()
    ]
    if not judged and not reasons:
        reasons.append(Finding("not judged", "unmeasured", "nothing was measured on it"))
    reasons.sort(key=lambda finding: GRADES.index(finding.grade))
    verdict = _BY_GRADE[reasons[0].grade] if reasons else "healthy"
    return GpuReport(device, verdict, tuple(reasons), judged)


def _in_context(finding: Finding, modes: list[str], failure: str | None) -> Finding:
    """A finding with the modes it was seen in, and with what a failed line said."""
    text = f"{' and '.join(modes)}: {finding.text}" if modes else finding.text
    if failure and finding.code in ("kernels_failed", "incorrect"):
        text += f" ({failure.splitlines()[0]})"
    return Finding(finding.grade, finding.code, text)
