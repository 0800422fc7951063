"""The nodes of a fleet as shown: one cell per GPU with its value, racks, and the commands that drain."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from quantroof.analysis.verdicts import State
from quantroof.fleet.analysis import Analysis, GpuResult
from quantroof.fleet.groups import Labels
from quantroof.fleet.next_steps import drain_commands, one_line
from quantroof.reports.text.fleet_words import reasons

NODES, CELLS, RACKS, RACK_NODES = 128, 32, 100, 64
"""How many of each are shown; the page names the number left out."""
LETTERS: dict[State, str] = {"failed": "F", "degraded": "D", "unknown": "?", "ok": ""}
_RACK = "rack"
"""The column of --labels that the rack view needs."""
_FULL_COLOR = 0.10
"""A loss of speed from which on the color of a cell is full."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One GPU of a node: its state, the letter of the state with the change of speed of its slower class in
    percent, how strongly it is colored (0 to 1), and the words behind it."""

    state: State
    text: str
    strength: float
    words: str


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node with its GPUs in the order of their numbers; `more` are not shown."""

    name: str
    state: State
    labels: str
    cells: list[Cell]
    more: int
    reason: str


@dataclass(frozen=True, slots=True)
class RackNode:
    """One node in its rack; `silent` without a run."""

    name: str
    state: State | Literal["silent"]
    words: str


@dataclass(frozen=True, slots=True)
class Rack:
    """One rack with its nodes by name; `bad` of them have a GPU that is degraded or failed."""

    name: str
    nodes: list[RackNode]
    bad: int
    more: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Commands to copy, a line per bad node."""

    slurm: str
    kubernetes: str


def node_row(name: str, gpus: list[GpuResult], labels: Labels) -> NodeRow:
    """GPUs come worst first; their cells stand in the order of the devices."""
    worst = gpus[0]
    ordered = sorted(gpus, key=lambda gpu: gpu.unit.device.index)
    own = ", ".join(f"{key} {value}" for key, value in labels.get(name, {}).items())
    cells = [_cell(gpu) for gpu in ordered[:CELLS]]
    return NodeRow(name, worst.state, own, cells, max(0, len(ordered) - CELLS), _reason(worst))


def _cell(gpu: GpuResult) -> Cell:
    levels = [level for level in gpu.level.values() if level is not None]
    change = math.expm1(-max(levels)) if levels else None
    value = "" if change is None else f"{round(change * 100, 1) or 0.0:+.1f}"
    text = f"{LETTERS[gpu.state]} {value}".strip() or "ok"
    strength = min(1.0, max(0.0, -(change or 0.0) / _FULL_COLOR))
    device = gpu.unit.device
    place = " ".join(filter(None, (device.id, device.pci, device.serial)))
    return Cell(gpu.state, text, round(strength, 2), f"{place}: {gpu.state}. {reasons(gpu.findings)}".strip())


def _reason(worst: GpuResult) -> str:
    return f"{worst.unit.device.id}: {worst.findings[0].text}" if worst.state != "ok" else ""


def racks(analysis: Analysis, silent: Sequence[str], labels: Labels) -> list[Rack]:
    """All nodes whose labels name a rack, the racks by name; none without such a column."""
    inside: dict[str, list[RackNode]] = defaultdict(list)
    nodes = [RackNode(name, gpus[0].state, _reason(gpus[0])) for name, gpus in analysis.nodes()]
    for node in [*nodes, *(RackNode(name, "silent", "no run received") for name in silent)]:
        if (rack := labels.get(node.name, {}).get(_RACK)) is not None:
            inside[rack].append(node)
    return [_rack(name, inside[name]) for name in sorted(inside, key=_numbered)]


def _numbered(name: str) -> list[str]:
    """A key that puts node-9 before node-10."""
    return [part.zfill(9) for part in re.split(r"(\d+)", name)]


def _rack(name: str, nodes: list[RackNode]) -> Rack:
    ordered = sorted(nodes, key=lambda node: _numbered(node.name))
    bad = sum(node.state in ("failed", "degraded") for node in nodes)
    return Rack(name, ordered[:RACK_NODES], bad, max(0, len(nodes) - RACK_NODES))


def drain(analysis: Analysis) -> Drain | None:
    """What takes the bad nodes that are shown out of service; None where there are none."""
    commands = []
    for name, gpus in analysis.nodes()[:NODES]:
        worst = gpus[0]
        if worst.bad:
            device = worst.unit.device
            words = " ".join(("GPU", str(device.index), *filter(None, [device.pci]), worst.findings[0].text))
            reason = one_line(worst.state, words, simulated=worst.population.simulated)
            commands.append(drain_commands(name, reason))
    return Drain("\n".join(c[0] for c in commands), "\n".join(c[1] for c in commands)) if commands else None
