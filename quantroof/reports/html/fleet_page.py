"""The fleet's page: who is slow, on which node, how all of them spread, and by what policy they were judged.

It has no script: everything is laid out here, and what is drawn is bounded whatever the size of the fleet.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass

from quantroof import units
from quantroof.fleet.analysis import Analysis, GpuResult
from quantroof.reports.cards import Card
from quantroof.reports.html import fleet_charts
from quantroof.reports.html.bundle import asset
from quantroof.reports.html.fleet_charts import histograms
from quantroof.reports.html.page import template

NODES, GPUS, GROUPS, POPULATIONS, CELLS = 60, 200, 40, 6, 32
"""How many of each are shown; the page says how many are not."""
_CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LETTERS = {"failed": "F", "defective": "D", "below policy": "B", "not judged": "?", "healthy": "·"}
_FACTS = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One GPU of a node: its grade, a letter that stands for it, and the words behind it."""

    grade: str
    letter: str
    words: str

    @property
    def css(self) -> str:
        """Class of the page: `below-policy`."""
        return self.grade.replace(" ", "-")


@dataclass(frozen=True, slots=True)
class NodeRow:
    """One node with its GPUs in the order of their numbers; `more` are not shown."""

    name: str
    grade: str
    cells: list[Cell]
    more: int
    reason: str


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One GPU that a site would not give to a job; changes of speed as text."""

    label: str
    grade: str
    memory: str
    compute: str
    past: str
    why: str


def fleet_html(found: Analysis, silent: list[str]) -> str:
    """The page of an analysis; `silent` are nodes that never answered."""
    drawn = [histograms(s, found) for s in found.populations[:POPULATIONS] if s.compared]
    nodes = found.nodes()
    return str(
        template("fleet.html").render(
            found=found,
            content_policy=_CONTENT_POLICY,
            style=asset("style.css", "fleet.css"),
            simulated=any(s.population.simulated for s in found.populations),
            counts=Counter(gpu.grade for gpu in found.gpus),
            cards=[_gpu_card(found), _node_card(found, silent), _group_card(found)],
            nodes=[_node(name, gpus) for name, gpus in nodes[:NODES]],
            node_count=len(nodes),
            quiet_nodes=sum(not gpus[0].bad for _, gpus in nodes[NODES:]),
            gpus=[_gpu(gpu) for gpu in found.bad[:GPUS]],
            groups=found.groups[:GROUPS],
            charts=drawn,
            chart_size=fleet_charts,
            silent=silent,
            letters=_LETTERS,
            units=units,
            speed=speed,
        )
    )


def speed(level: float | None) -> str:
    """A log time as a signed change of speed."""
    return units.NONE if level is None else units.change(math.exp(-level))


def _why(gpu: GpuResult) -> str:
    return "; ".join(finding.text for finding in gpu.findings)


def _node(name: str, gpus: list[GpuResult]) -> NodeRow:
    """GPUs come worst first; their cells stand in the order of the devices."""
    worst = gpus[0]
    ordered = sorted(gpus, key=lambda gpu: gpu.unit.device.index)
    cells = [
        Cell(g.grade, _LETTERS[g.grade], f"{g.unit.device.id}: {g.grade}. {_why(g)}") for g in ordered[:CELLS]
    ]
    reason = f"{worst.unit.device.id}: {worst.findings[0].text}" if worst.grade != "healthy" else ""
    return NodeRow(name, worst.grade, cells, max(0, len(ordered) - CELLS), reason)


def _gpu(gpu: GpuResult) -> GpuRow:
    past = max((v for v in gpu.past.values() if v is not None), default=None)
    memory, compute = (speed(gpu.level[name]) for name in ("memory", "compute"))
    return GpuRow(gpu.unit.label, gpu.grade, memory, compute, speed(past), _why(gpu))


def _gpu_card(found: Analysis) -> Card:
    question, bad = "Which GPUs are bad?", found.bad
    least, policy = units.percent(found.policy.min_effect), units.percent(found.policy.floor)
    floor = f"failed by what it says of itself, defective beyond chance by {least} at least, below policy "
    floor += f"under {policy} of the siblings' median"
    if bad:
        facts = tuple(f"{gpu.unit.label}: {gpu.findings[0].text}" for gpu in bad[:_FACTS])
        return Card("gpus", question, f"{len(bad)} of {len(found.gpus)}", "bad", facts, floor)
    open_ = sum(gpu.grade == "not judged" for gpu in found.gpus)
    if open_ == len(found.gpus):
        return Card("gpus", question, "not judged", "none", (found.gpus[0].findings[0].text,), floor)
    facts = (f"{open_} could not be judged",) if open_ else ()
    return Card("gpus", question, "none", "good", facts, floor)


def _node_card(found: Analysis, silent: list[str]) -> Card:
    question, floor = "Which node first?", "a node is as bad as its worst GPU"
    bad = [(name, gpus) for name, gpus in found.nodes() if gpus[0].bad]
    facts = [
        f"{name}: {sum(gpu.bad for gpu in gpus)} of {len(gpus)} GPUs" for name, gpus in bad[: _FACTS - 1]
    ]
    if silent:
        facts.append(f"never answered: {', '.join(silent[:3])}{', ...' if len(silent) > 3 else ''}")
    if bad:
        return Card("nodes", question, bad[0][0], "bad", tuple(facts), floor)
    return Card("nodes", question, "none", "unsure" if silent else "good", tuple(facts), floor)


def _group_card(found: Analysis) -> Card:
    question, floor = "Do groups differ?", "medians of three nodes or more, 5 % false discoveries"
    differing = [row for row in found.groups if row.differs]
    if not found.groups:
        advice = "no attribute has two groups of three nodes: --labels FILE adds rack, cooling and the like"
        return Card("groups", question, "not compared", "none", (), floor, advice)
    facts = tuple(
        f"{row.attribute} {row.value}: {row.resource} {speed(row.difference)}" for row in differing[:_FACTS]
    )
    if differing:
        return Card(
            "groups", question, f"{len(differing)} of {len(found.groups)} differ", "unsure", facts, floor
        )
    return Card("groups", question, "no", "good", (), floor)
