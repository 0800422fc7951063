"""The page of each node inside the page of a fleet: a link shows it alone, without a script or a request.

One file stays one file: every page is in it, and `:target` decides which one is displayed and printed.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantroof.analysis.verdicts import State
from quantroof.fleet.next_steps import next_steps
from quantroof.fleet.node import node_of
from quantroof.fleet.scores import CLASSES
from quantroof.reports.text.fleet_words import reasons, slowest, verdict_words
from quantroof.units import NONE

if TYPE_CHECKING:
    from quantroof.fleet.analysis import GpuResult
    from quantroof.fleet.groups import Labels
    from quantroof.fleet.node import GpuReport, NodeReport

QUANTITIES, SWEEPS = 24, 12
"""How many quantities and sweeps a page shows at most."""
_IDENTITY = ("PCI", "serial", "UUID", "slot", "VBIOS", "driver", "power limit")


@dataclass(frozen=True, slots=True)
class Table:
    """A table: headings with the state of their GPU, and rows with the state of theirs; the first cell of a
    row names it. What belongs to no GPU is `ok`."""

    title: str
    headings: tuple[tuple[State, str], ...]
    rows: tuple[tuple[State, tuple[str, ...]], ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePart:
    """One node: `anchor` is the id that links name, `reasons` are (GPU, state, why)."""

    anchor: str
    name: str
    state: State
    verdict: str
    labels: str
    not_tested: str
    reasons: tuple[tuple[str, State, str], ...]
    actions: tuple[str, ...]
    drain: tuple[str, ...]
    evidence: str
    tables: tuple[Table, ...]


def node_parts(nodes: Iterable[tuple[str, list[GpuResult]]], labels: Labels) -> list[NodePart]:
    """The parts of the nodes that the page lists, in that order."""
    taken: Counter[str] = Counter()
    return [_part(name, gpus, labels, _anchor(name, taken)) for name, gpus in nodes]


def _anchor(name: str, taken: Counter[str]) -> str:
    """An id that a link needs not escape; a second node of the same letters gets a number."""
    plain = "node-" + re.sub(r"[^A-Za-z0-9_.-]", "-", name)
    taken[plain] += 1
    return plain if taken[plain] == 1 else f"{plain}--{taken[plain]}"


def _part(name: str, results: list[GpuResult], labels: Labels, anchor: str) -> NodePart:
    node = node_of(name, results)
    steps = next_steps(node)
    return NodePart(
        anchor=anchor,
        name=name,
        state=node.verdict.state,
        verdict=verdict_words(node.verdict),
        labels=", ".join(f"{key} {value}" for key, value in labels.get(name, {}).items()),
        not_tested=", ".join(node.not_tested),
        reasons=tuple((g.device.id, g.state, reasons(g.reasons)) for g in node.gpus if g.reasons),
        actions=steps.actions,
        drain=steps.drain,
        evidence=steps.evidence,
        tables=tuple(_tables(node)),
    )


def _tables(node: NodeReport) -> Iterator[Table]:
    """Speeds and sweeps, once per kind of run, and who the GPUs are."""
    ordered = sorted(node.gpus, key=lambda gpu: gpu.device.index)
    kinds = sorted({kind for gpu in ordered for kind in gpu.judged})
    for kind in kinds:
        judged = [(gpu, gpu.judged[kind]) for gpu in ordered if kind in gpu.judged]
        named = f", {kind}" if len(kinds) > 1 else ""
        yield _speeds(judged, named)
        if any(len(one.sweeps) > 1 for _, one in judged):
            yield _sweeps(judged, named)
    yield identity_table(ordered)


def identity_table(gpus: Iterable[GpuReport]) -> Table:
    """Which boards these are, and where."""
    headings = _headings("GPU", (("ok", name) for name in _IDENTITY))
    return Table("Identity", headings, tuple((gpu.state, _identity(gpu)) for gpu in gpus))


_Judged = list[tuple["GpuReport", "GpuResult"]]


def _speeds(judged: _Judged, kind: str) -> Table:
    """Both classes, the GPU beside its own past, and every quantity; a column per GPU, as siblings are
    compared along a row."""
    names = list(dict.fromkeys(name for _, one in judged for name in one.quantities))
    rows = [
        *((name, [one.level[name] for _, one in judged]) for name in CLASSES),
        ("own past", [slowest(one.past.values()) for _, one in judged]),
        *((name, [one.quantities.get(name) for _, one in judged]) for name in names[:QUANTITIES]),
    ]
    note = (
        "Own past: the slower of memory and compute, in percent of the GPU's earlier runs. Memory, compute "
        "or both after a format: what bounds its cases."
    )
    hidden = len(names[QUANTITIES:])
    note += f" {hidden} more quantities are in fleet --json." if hidden else ""
    cells = tuple(_plain((name, *map(_share, levels))) for name, levels in rows)
    return Table(f"Speed in percent of the siblings' median{kind}", _columns(judged), cells, note)


def _sweeps(judged: _Judged, kind: str) -> Table:
    """The slower class of the latest sweeps, each beside the siblings of the last one."""
    times = sorted({sweep.started_at for _, one in judged for sweep in one.sweeps})[-SWEEPS:]
    seen = [{s.started_at: slowest(s.level.values()) for s in one.sweeps} for _, one in judged]
    length = 16 if len({time[:16] for time in times}) == len(times) else 19
    rows = [
        _plain((time[:length].replace("T", " "), *(_share(one.get(time)) for one in seen))) for time in times
    ]
    note = "The slower of memory and compute, in percent of the siblings' median of the latest sweep."
    return Table(f"Over the sweeps{kind}", _columns(judged), tuple(rows), note)


def _columns(judged: _Judged) -> tuple[tuple[State, str], ...]:
    """A heading per GPU, by the number that the table of identities and the commands name."""
    return _headings("", ((gpu.state, f"GPU {gpu.device.index}") for gpu, _ in judged))


def _headings(first: str, others: Iterable[tuple[State, str]]) -> tuple[tuple[State, str], ...]:
    return ("ok", first), *others


def _plain(cells: tuple[str, ...]) -> tuple[State, tuple[str, ...]]:
    """A row that belongs to no GPU."""
    return "ok", cells


def _identity(gpu: GpuReport) -> tuple[str, ...]:
    device = gpu.device
    limit = None if device.power_limit_w is None else f"{device.power_limit_w:.0f} W"
    cells = (device.pci, device.serial, device.uuid, device.slot, device.vbios, device.driver, limit)
    return (device.id, *(cell or NONE for cell in cells))


def _share(level: float | None) -> str:
    """A log time beside the median as a speed in percent: 100.0 is the median."""
    return NONE if level is None else f"{math.exp(-level) * 100:.1f}"
