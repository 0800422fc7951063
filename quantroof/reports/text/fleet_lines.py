"""What `quantroof fleet` prints and writes as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.analysis.verdicts import Verdict
from quantroof.fleet.conclusions import gpu_answer, gpu_states
from quantroof.fleet.node import untested
from quantroof.reports.text.fleet_words import (
    finding_document,
    plural,
    reasons,
    relative,
    slowest,
    speed,
    states,
    verdict_words,
)
from quantroof.reports.text.table import plain
from quantroof.units import chance, percent

if TYPE_CHECKING:
    from quantroof.fleet.analysis import Analysis, GpuResult, PopulationSummary

_GROUPS = 12
_HEADINGS = ("GPU", "memory", "compute", "past", "verdict", "why")


def fleet_lines(analysis: Analysis, silent: list[str], top: int) -> Iterator[str]:
    """The headline, what was compared, the worst GPUs, groups that differ, and nodes without a run."""
    gpus = gpu_states(analysis.gpus)
    devices = f"{plural(len(gpus), 'GPU')} on {plural(len(analysis.nodes()), 'node')}"
    yield f"{devices}: {states(gpus)}"
    answer = gpu_answer(analysis)
    yield verdict_words(Verdict(answer.state, answer.reason))
    for summary in analysis.populations:
        yield from _population_lines(summary)
    shown = analysis.bad[:top]
    if shown:
        yield from plain(_HEADINGS, map(_cells, shown), right=_HEADINGS[1:4])
    if len(analysis.bad) > top:
        yield f"... {len(analysis.bad) - top} more: --top, or --json for all"
    for row in [row for row in analysis.groups if row.differs][:_GROUPS]:
        yield (
            f"{row.attribute} {row.value}: {row.resource} {speed(row.difference)} in the median of "
            f"{row.nodes} nodes beside all others ({chance(row.p)})"
        )
    if silent:
        yield f"no run received from {', '.join(silent)}"
    yield f"without a result here: {', '.join(untested(analysis.nodes()))}"


def fleet_document(analysis: Analysis, silent: list[str]) -> dict[str, Any]:
    """Everything, for programs: changes are relative changes of speed, 0.05 faster, -0.05 slower."""
    answer = gpu_answer(analysis)
    return {
        "verdict": answer.state,
        "reason": answer.reason,
        "policy": msgspec.to_builtins(analysis.policy),
        "problems": analysis.problems,
        "populations": [
            {
                **_kind(summary.population), "gpus": summary.gpus, "cases": summary.works,
                "compared": summary.compared, "spread": summary.spread,
                "floor": summary.floor, "expected_below_floor": summary.expected_below,
                "remarks": list(summary.remarks),
            }
            for summary in analysis.populations
        ],
        "nodes": [
            {"node": node, "verdict": gpus[0].state, "gpus": [_gpu(gpu) for gpu in gpus]}
            for node, gpus in analysis.nodes()
        ],
        "groups": [
            {
                **_kind(row.population), "attribute": row.attribute, "value": row.value,
                "resource": row.resource, "nodes": row.nodes, "change": relative(row.difference),
                "p": row.p, "differs": row.differs,
            }
            for row in analysis.groups
        ],
        "never_answered": silent,
        "not_tested": list(untested(analysis.nodes())),
    }  # fmt: skip


def _population_lines(summary: PopulationSummary) -> Iterator[str]:
    head = f"{summary.population}: {plural(summary.gpus, 'GPU')}, {plural(summary.works, 'case')}"
    yield from _comparison(summary, head)
    yield from (f"  {remark}" for remark in summary.remarks)


def _comparison(summary: PopulationSummary, head: str) -> Iterator[str]:
    if not summary.compared:
        yield f"{head}; too few to be compared with each other"
        return
    spreads = ", ".join(f"{name} {percent(value, 1)}" for name, value in summary.spread.items())
    yield f"{head}; healthy GPUs vary by {spreads}"
    floors = ", ".join(
        f"{name} {percent(floor, 1)} (expected false alarms {percent(summary.expected_below[name], 2)})"
        for name, floor in summary.floor.items()
    )
    yield f"  floors as shares of the median: {floors}"


def _cells(gpu: GpuResult) -> tuple[str, ...]:
    levels = (gpu.level["memory"], gpu.level["compute"], slowest(gpu.past.values()))
    return (gpu.unit.label, *map(speed, levels), gpu.state, reasons(gpu.findings))


def _gpu(gpu: GpuResult) -> dict[str, Any]:
    device = gpu.unit.device
    return {
        "device": device.id,
        "uuid": device.uuid,
        "pci": device.pci,
        "serial": device.serial,
        "slot": device.slot,
        "vbios": device.vbios,
        "run_id": gpu.unit.run_id,
        **_kind(gpu.population),
        "verdict": gpu.state,
        "against_siblings": {name: relative(level) for name, level in gpu.level.items()},
        "against_past": {name: relative(level) for name, level in gpu.past.items()},
        "quantities": {name: relative(level) for name, level in gpu.quantities.items()},
        "slow_cases": gpu.slow_cases,
        "findings": [finding_document(finding) for finding in gpu.findings],
    }


def _kind(population: Any) -> dict[str, Any]:
    return dict(population._asdict())
