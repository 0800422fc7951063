"""The state of one node from fleet analyses: ok, degraded, failed or unknown, with the gravest reason."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from quantroof.analysis.links import LinkTable
from quantroof.analysis.verdicts import STATES, State, Verdict, gravest, state_of
from quantroof.finding import Finding
from quantroof.fleet.analysis import Analysis, GpuResult
from quantroof.fleet.grades import JUDGED_ALONE, gravest_first, vouched
from quantroof.fleet.telemetry import Telemetry
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Bits

_SPEEDS = ("memory", "matrix units")
_LINKS = ("links between GPUs",)
_BITS = ("repeated exact products",)
_NEVER_TESTED = ("NICs", "storage")


@dataclass(frozen=True, slots=True)
class GpuReport:
    """One GPU. `reasons` are the gravest first; `judged` holds the results by mode, burst and sustained;
    `seen` is what it did under load."""

    device: Device
    state: State
    reasons: tuple[Finding, ...]
    judged: dict[str, GpuResult]
    seen: Telemetry = field(default_factory=Telemetry)


@dataclass(frozen=True, slots=True)
class NodeReport:
    """The node with its GPUs, the worst first. The reason of the verdict is the gravest of all."""

    name: str
    verdict: Verdict
    gpus: tuple[GpuReport, ...]
    remarks: tuple[str, ...]
    problems: tuple[str, ...]
    simulated: bool
    links: LinkTable | None = None
    bits: tuple[Bits, ...] = ()
    """The exact products that were repeated."""

    @property
    def not_tested(self) -> tuple[str, ...]:
        """What can spoil a job and was not tested: every verdict on a node names it."""
        results = [one for gpu in self.gpus for one in gpu.judged.values()]
        linked = len(self.gpus) < 2 or any(one.unit.peers_measured for one in results)
        linked = linked or (self.links is not None and self.links.between_gpus)
        products = bool(self.bits) or any(one.unit.bits_measured for one in results)
        parts = ((bool(results), _SPEEDS), (linked, _LINKS), (products, _BITS))
        return (*(name for tested, names in parts if not tested for name in names), *_NEVER_TESTED)


@dataclass(frozen=True, slots=True)
class NodeEvidence:
    """What is known besides the analysis: findings by NVML, reasons of failed measurements and telemetry, all
    by device, the ids of this node's runs, and its links, and its exact products."""

    live: dict[str, list[Finding]]
    run_ids: set[str]
    failures: dict[str, str]
    telemetry: dict[str, Telemetry]
    links: LinkTable | None = None
    bits: tuple[Bits, ...] = ()


def node_report(
    node: str,
    devices: tuple[Device, ...],
    analyses: list[Analysis],
    evidence: NodeEvidence,
    expected: int | None = None,
) -> NodeReport:
    """Join the analysis of each mode with the other evidence.

    A node with fewer devices than `expected` has failed, whatever the others do.
    """
    ours: dict[str, dict[str, GpuResult]] = defaultdict(dict)
    for judged in (gpu for analysis in analyses for gpu in analysis.gpus):
        if judged.unit.run_id in evidence.run_ids:
            ours[judged.unit.device.id][judged.population.mode] = judged
    gpus = [_gpu(device, ours[device.id], evidence) for device in devices]
    gpus.sort(key=lambda gpu: STATES.index(gpu.state))
    lost = missing_gpus(devices, expected)
    state: State = "failed" if lost else gravest(gpu.state for gpu in gpus)
    remarks = dict.fromkeys(text for a in analyses for kind in a.populations for text in kind.remarks)
    problems = dict.fromkeys(text for analysis in analyses for text in analysis.problems)
    return NodeReport(
        node, Verdict(state, lost or node_reason(gpus)), tuple(gpus), tuple(remarks),
        tuple(problems), any(d.kind == "sim" for d in devices), evidence.links, evidence.bits,
    )  # fmt: skip


def node_of(name: str, results: list[GpuResult]) -> NodeReport:
    """The report of a node of a fleet from the results of its GPUs, which may come from several kinds of
    runs."""
    kinds = {_kind(gpu, full=True) for gpu in results}
    full = len({_kind(gpu, full=False) for gpu in results}) < len(kinds)
    judged: dict[str, dict[str, GpuResult]] = defaultdict(dict)
    for gpu in results:
        judged[gpu.unit.identity][_kind(gpu, full=full)] = gpu
    devices = {gpu.unit.identity: gpu.unit.device for gpu in results}
    nothing = NodeEvidence({}, set(), {}, {})
    gpus = [_gpu(device, judged[identity], nothing) for identity, device in devices.items()]
    gpus.sort(key=lambda gpu: (STATES.index(gpu.state), gpu.device.index))
    verdict = Verdict(gravest(gpu.state for gpu in gpus), node_reason(gpus))
    simulated = any(gpu.population.simulated for gpu in results)
    return NodeReport(name, verdict, tuple(gpus), (), (), simulated)


def untested(nodes: list[tuple[str, list[GpuResult]]]) -> tuple[str, ...]:
    """What at least one node of a fleet has no result of."""
    found = {part for name, results in nodes for part in node_of(name, results).not_tested}
    return tuple(part for part in (*_SPEEDS, *_LINKS, *_BITS, *_NEVER_TESTED) if part in found)


def _kind(gpu: GpuResult, *, full: bool) -> str:
    """The kind of run of a result: its mode, or all that tells it from others."""
    kind = gpu.population
    return f"{kind.suite} {kind.mode} {kind.cache}" if full else kind.mode


def missing_gpus(devices: tuple[Device, ...], expected: int | None) -> str | None:
    """Why a node that should have more GPUs has failed; None if it has all."""
    missing = expected is not None and len(devices) < expected
    return f"{len(devices)} GPUs are present, {expected} are expected" if missing else None


def node_reason(gpus: list[GpuReport]) -> str | None:
    """The first reason of the worst GPU, and how many others are as bad; what speaks for GPUs alone."""
    worst = gpus[0]
    if worst.state == "ok":
        alone = (f.text for gpu in gpus for f in gpu.reasons if f.code == JUDGED_ALONE)
        return next(alone, None)
    more = sum(gpu.state == worst.state for gpu in gpus) - 1
    also = f"; {more} more {worst.state}" if more else ""
    return f"{worst.device.id}: {worst.reasons[0].text}{also}"


def _gpu(device: Device, judged: dict[str, GpuResult], evidence: NodeEvidence) -> GpuReport:
    """One GPU. A reason that all modes share appears once, any other with its mode."""
    modes: dict[Finding, list[str]] = {finding: [] for finding in evidence.live.get(device.id, [])}
    for mode, one in judged.items():
        for finding in one.findings:
            modes.setdefault(finding, []).append(mode)
    reasons = [
        _in_context(finding, where if len(where) < len(judged) else [], evidence.failures.get(device.id))
        for finding, where in modes.items()
    ]
    if not judged and not reasons:
        reasons.append(Finding("unknown", "unmeasured", "nothing was measured on it"))
    if any(reason.code == JUDGED_ALONE for reason in reasons):
        reasons = [_without_mode(reason) for reason in vouched(reasons)]
    state = gravest([state_of(reason.level) for reason in reasons] or ["ok"])
    seen = evidence.telemetry.get(device.id, Telemetry())
    return GpuReport(device, state, gravest_first(reasons), judged, seen)


def _without_mode(finding: Finding) -> Finding:
    """One mode judges a lone GPU for all of them."""
    if finding.code != JUDGED_ALONE:
        return finding
    return Finding(finding.level, finding.code, finding.text.partition(": ")[2] or finding.text)


def _in_context(finding: Finding, modes: list[str], failure: str | None) -> Finding:
    """A finding with the modes it occurred in, and with the reason of a failed measurement."""
    shown = modes and not finding.code.startswith("link_")  # links are not measured in a mode
    text = f"{' and '.join(modes)}: {finding.text}" if shown else finding.text
    if failure and finding.code in ("kernels_failed", "incorrect"):
        text += f" ({failure.splitlines()[0]})"
    return Finding(finding.level, finding.code, text)
