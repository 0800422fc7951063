"""What `quantroof doctor --burn-in` prints and writes as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.fleet.next_steps import next_steps
from quantroof.reports.text.fleet_words import (
    finding_document,
    plural,
    reasons,
    relative,
    slowest,
    speed,
    verdict_words,
)
from quantroof.reports.text.link_lines import link_document, link_lines
from quantroof.reports.text.table import plain
from quantroof.units import NONE, percent

if TYPE_CHECKING:
    from quantroof.fleet.analysis import GpuResult
    from quantroof.fleet.burn_in import BurnInResult
    from quantroof.fleet.node import GpuReport
    from quantroof.records.lines import Bits


HEADINGS = (
    "GPU", "verdict", "memory", "compute", "past", "read", "PCI", "serial", "clock", "power", "temp", "why"
)  # fmt: skip
_REASONS = 2
"""Reasons of a GPU that a line shows; --json and --html have all."""


def estimate_line(devices: int, once_s: float, again_s: float, *, simulated: bool) -> str:
    """About how long the burn-in takes; of simulated devices, on the real ones."""
    what = f"burst and sustained load on {plural(devices, 'device')} at once"
    long = f"about {once_s / 60:.1f} min, {again_s / 60:.1f} if something must be repeated"
    return f"{what}: {long}{' on such devices, seconds to simulate' if simulated else ''}"


def burn_in_lines(outcome: BurnInResult) -> Iterator[str]:
    """The node's verdict with its reason, one line per GPU, remarks, and where the runs lie."""
    node = outcome.node
    if node.simulated:
        yield "SIMULATED: no figure below was measured on any device"
    yield f"node {node.name}: {verdict_words(node.verdict)}"
    yield from plain(HEADINGS, map(gpu_cells, node.gpus), right=HEADINGS[2:6])
    if node.links is not None:
        yield from link_lines(node.links)
    if node.bits:
        yield f"  {bits_line(node.bits)}"
    yield from (f"  {remark}" for remark in node.remarks)
    yield f"  not tested: {', '.join(node.not_tested)}"
    steps = next_steps(node)
    yield from (f"next: {action}" for action in steps.actions)
    yield from (f"drain: {command}" for command in steps.drain)
    yield from (str(directory) for directory in outcome.directories)


def bits_line(bits: Sequence[Bits]) -> str:
    """How much was compared: `exact products: 4 GPUs, 12,000 repeats, 8.1e+11 outputs compared, 1 wrong`."""
    repeats = sum(line.repeats for line in bits)
    outputs = sum(line.repeats * line.shape[0] * line.shape[1] for line in bits if line.shape)
    wrong = sum(line.wrong_outputs for line in bits)
    devices = plural(len({line.device for line in bits}), "device")
    return f"exact products: {devices}, {repeats:,} repeats, {outputs:.2g} outputs compared, {wrong:,} wrong"


def burn_in_document(outcome: BurnInResult) -> dict[str, Any]:
    """Everything, for programs: changes of speed are relative, -0.05 is 5 % slower."""
    node, steps = outcome.node, next_steps(outcome.node)
    return {
        "node": node.name,
        "verdict": node.verdict.state,
        "reason": node.verdict.reason,
        "simulated": node.simulated,
        "not_tested": list(node.not_tested),
        "gpus": [_gpu(gpu) for gpu in node.gpus],
        "next": {"actions": list(steps.actions), "drain": list(steps.drain), "evidence": steps.evidence},
        "links": None if node.links is None else link_document(node.links),
        "bits": [msgspec.to_builtins(line) for line in node.bits],
        "remarks": list(node.remarks),
        "problems": list(node.problems),
        "runs": [str(directory) for directory in outcome.directories],
    }


def gpu_cells(gpu: GpuReport) -> tuple[str, ...]:
    """The slower of both modes stands in each column."""
    judged = list(gpu.judged.values())
    memory, compute = (slowest([one.level[name] for one in judged]) for name in ("memory", "compute"))
    past = slowest([level for one in judged for level in one.past.values()])
    reads = [one.datasheet["read"] for one in judged if "read" in one.datasheet]
    read = percent(min(reads)) if reads else NONE
    more = f"; {len(gpu.reasons) - _REASONS} more" if len(gpu.reasons) > _REASONS else ""
    speeds = map(speed, (memory, compute, past))
    return (gpu.device.id, gpu.state, *speeds, read, *identity(gpu), reasons(gpu.reasons[:_REASONS]) + more)


def identity(gpu: GpuReport) -> tuple[str, ...]:
    """Where the GPU is, and its slowest clock, highest power and temperature under load."""
    seen, device = gpu.seen, gpu.device
    return (
        device.pci or NONE,
        device.serial or NONE,
        _unit(seen.sm_clock_mhz, "MHz"),
        _unit(seen.power_w, "W"),
        _unit(seen.temperature_c, "C"),
    )


def _unit(value: float | None, unit: str) -> str:
    return NONE if value is None else f"{value:.0f} {unit}"


def _gpu(gpu: GpuReport) -> dict[str, Any]:
    return {
        "device": gpu.device.id,
        "name": gpu.device.name,
        "uuid": gpu.device.uuid,
        "pci": gpu.device.pci,
        "serial": gpu.device.serial,
        "slot": gpu.device.slot,
        "vbios": gpu.device.vbios,
        "temperature_c": gpu.seen.temperature_c,
        "power_w": gpu.seen.power_w,
        "sm_clock_mhz": gpu.seen.sm_clock_mhz,
        "verdict": gpu.state,
        "reasons": [finding_document(finding) for finding in gpu.reasons],
        "modes": {mode: _mode(judged) for mode, judged in gpu.judged.items()},
    }


def _mode(judged: GpuResult) -> dict[str, Any]:
    return {
        "run_id": judged.unit.run_id,
        "against_siblings": _changes(judged.level),
        "against_past": _changes(judged.past),
        "against_reference": _changes(judged.reference),
        "share_of_datasheet": judged.datasheet,
    }


def _changes(levels: dict[str, float | None]) -> dict[str, float | None]:
    return {name: relative(level) for name, level in levels.items()}
