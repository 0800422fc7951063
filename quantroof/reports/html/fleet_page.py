"""The fleet's page: slow GPUs, their nodes, the spread of all GPUs, and the policy that judged them.

Everything is laid out here, and what is drawn is bounded whatever the size of the fleet; the one script
filters what is shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof import units
from quantroof.analysis.verdicts import State
from quantroof.fleet.analysis import Analysis, GpuResult
from quantroof.fleet.conclusions import bad_of, gpu_answer, gpu_states, group_answer, node_answer
from quantroof.fleet.groups import GroupRow, Labels
from quantroof.fleet.policy import Policy
from quantroof.reports.cards import Card
from quantroof.reports.facts import Facts
from quantroof.reports.html.bundle import asset, sha256
from quantroof.reports.html.fleet_charts import CHART_SIZE, Charts, ChartSize, histograms
from quantroof.reports.html.fleet_node_parts import NodePart, node_parts
from quantroof.reports.html.fleet_nodes import (
    LETTERS,
    NODES,
    RACKS,
    Drain,
    NodeRow,
    Rack,
    drain,
    node_row,
    racks,
)
from quantroof.reports.html.fleet_trends import HEIGHT, LEFT, RIGHT, TRENDS, WIDTH, Trend, trends
from quantroof.reports.html.page import template
from quantroof.reports.text.fleet_words import plural, reasons, slowest, speed, states

GPUS, GROUPS, POPULATIONS, PROBLEMS, SILENT = 200, 40, 6, 20, 40
"""How many of each are shown; the page names the number left out."""
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'sha256-{}'; style-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'"
)
_FACTS = 3


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One GPU that a site would not give to a job; changes of speed as text."""

    label: str
    node: str
    state: State
    memory: str
    compute: str
    past: str
    why: str


@dataclass(frozen=True, slots=True)
class ShownGroup:
    """One group of nodes beside all others."""

    name: str
    resource: str
    nodes: int
    change: str
    p: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetPage:
    """Everything that fleet.html shows. `left_out` names, per section, what is missing."""

    policy: str
    style: str
    script: str
    title: str
    states: str
    simulated: bool
    problems: Sequence[str]
    silent: str
    cards: Sequence[Card]
    gpus: list[GpuRow]
    nodes: list[NodeRow]
    letters: str
    racks: list[Rack]
    drain: Drain | None
    pages: list[NodePart]
    anchors: dict[str, str]
    trends: list[Trend]
    trend_size: dict[str, int]
    charts: list[Charts]
    chart_size: ChartSize
    groups: list[ShownGroup]
    facts: Facts
    left_out: dict[str, str]


def fleet_html(analysis: Analysis, silent: list[str], labels: Labels | None = None) -> str:
    """The page of an analysis; `silent` are nodes without a run, `labels` what was told about the nodes."""
    nodes, script, drawn = analysis.nodes(), asset("fleet.js"), trends(analysis)
    inside = racks(analysis, silent, labels or {})
    gpus = gpu_states(analysis.gpus)
    pages = node_parts(nodes[:NODES], labels or {})
    page = FleetPage(
        policy=_CONTENT_POLICY.format(sha256(script.encode())),
        script=script,
        style=asset("style.css", "fleet.css"),
        title=f"{plural(len(gpus), 'GPU')} on {plural(len(nodes), 'node')}",
        states=states(gpus),
        simulated=any(summary.population.simulated for summary in analysis.populations),
        problems=analysis.problems[:PROBLEMS],
        silent=_listed(silent),
        cards=[_gpu_card(analysis), _node_card(analysis, silent), _group_card(analysis)],
        gpus=[_gpu(gpu) for gpu in analysis.bad[:GPUS]],
        nodes=[node_row(name, gpus, labels or {}) for name, gpus in nodes[:NODES]],
        letters=", ".join(f"{letter} {state}" for state, letter in LETTERS.items() if letter),
        racks=inside[:RACKS],
        drain=drain(analysis),
        pages=pages,
        anchors={part.name: part.anchor for part in pages},
        trends=drawn[:TRENDS],
        trend_size={"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT},
        charts=[histograms(s, analysis) for s in analysis.populations[:POPULATIONS] if s.compared],
        chart_size=CHART_SIZE,
        groups=[_group(row) for row in analysis.groups[:GROUPS]],
        facts=_policy_facts(analysis),
        left_out={**_left_out(analysis), **_undrawn(len(inside), len(drawn))},
    )
    return str(template("fleet.html").render(page=page))


def _listed(silent: list[str]) -> str:
    more = f" and {len(silent) - SILENT} more" if len(silent) > SILENT else ""
    return ", ".join(silent[:SILENT]) + more


def _left_out(analysis: Analysis) -> dict[str, str]:
    """Sentences by section: a page that shows a part of a fleet must not look like the whole."""
    nodes, bad, groups = analysis.nodes(), analysis.bad, analysis.groups
    hidden = len(analysis.problems) - PROBLEMS
    quiet = sum(not gpus[0].bad for _, gpus in nodes[NODES:])
    drawn = sum(summary.compared for summary in analysis.populations[:POPULATIONS])
    kinds = len(analysis.populations)
    sentences = {
        "problems": (hidden > 0, f"{hidden} more inputs could not be used; `quantroof fleet` lists all."),
        "gpus": (len(bad) > GPUS, f"The worst {GPUS} of {len(bad)} are shown; `fleet --json` has all."),
        "nodes": (
            len(nodes) > NODES,
            f"{NODES} of {len(nodes)} nodes are shown; of the others {quiet} have no finding.",
        ),
        "charts": (
            kinds > drawn,
            f"{kinds - drawn} of {kinds} kinds of runs are not drawn: too few GPUs, or no room.",
        ),
        "groups": (
            len(groups) > GROUPS, f"{GROUPS} of {len(groups)} groups are shown, those that differ first.",
        ),
    }  # fmt: skip
    return {section: sentence if needed else "" for section, (needed, sentence) in sentences.items()}


def _undrawn(racks: int, trends: int) -> dict[str, str]:
    """The same for the racks and the GPUs over the sweeps."""
    return {
        "racks": f"{RACKS} of {racks} racks are shown." if racks - min(racks, RACKS) else "",
        "trends": f"The worst {TRENDS} of {trends} are drawn." if trends - min(trends, TRENDS) else "",
    }


def _read_floor(policy: Policy) -> str:
    if policy.datasheet_floor is not None:
        return f"DRAM read of at least {units.percent(policy.datasheet_floor)}"
    return "DRAM read of at least 95 % of the lowest that others published, else 85 % of the datasheet"


def _policy_facts(analysis: Analysis) -> Facts:
    policy, percent = analysis.policy, units.percent
    chances = [
        f"{name} {percent(summary.floor[name], 1)}, by chance {percent(share, 2)} of healthy GPUs"
        for summary in analysis.populations
        if summary.compared
        for name, share in summary.expected_below.items()
    ]
    chance = "; ".join(chances) or "no fleet to estimate a chance from"
    rate = percent(policy.false_discovery_rate)
    return [
        ("floor", f"{percent(policy.floor)} of the siblings' median, lower where they spread; {chance}"),
        ("least effect", f"{percent(policy.min_effect)}: a smaller slowdown is not a defect"),
        ("false discoveries", f"at most {rate} of those called defective (Benjamini and Hochberg over GPUs)"),
        ("datasheet", _read_floor(policy)),
        (
            "throttling",
            f"a thermal or hardware slowdown in over {percent(policy.throttled_share)} of the lines",
        ),
    ]


def _group(row: GroupRow) -> ShownGroup:
    verdict = "differs" if row.differs else "alike"
    name = f"{row.attribute} {row.value}"
    return ShownGroup(name, row.resource, row.nodes, speed(row.difference), f"{row.p:.0e}", verdict)


def _gpu(gpu: GpuResult) -> GpuRow:
    past = slowest(gpu.past.values())
    memory, compute = (speed(gpu.level[name]) for name in ("memory", "compute"))
    return GpuRow(
        gpu.unit.label, gpu.unit.node, gpu.state, memory, compute, speed(past), reasons(gpu.findings)
    )


def _gpu_card(analysis: Analysis) -> Card:
    answer, policy = gpu_answer(analysis), analysis.policy
    floor = (
        f"failed by what it reports about itself, degraded by at least {units.percent(policy.min_effect)} "
        f"beyond chance or below the floor of its siblings"
    )
    facts = [f"{gpu.unit.label}: {gpu.findings[0].text}" for gpu in answer.bad[:_FACTS]]
    if answer.state == "ok" and answer.unknown:
        facts = [f"{answer.unknown} are unknown"]
    if answer.reason is not None:
        facts = [answer.reason]
    bad, whole = bad_of(analysis.gpus)
    verdict = f"{bad} of {whole}" if answer.bad else answer.state
    return Card("gpus", "Which GPUs are bad?", verdict, answer.tone, tuple(facts), floor)


def _node_card(analysis: Analysis, silent: list[str]) -> Card:
    answer = node_answer(analysis, silent)
    counts = {name: bad_of(gpus) for name, gpus in answer.bad[: _FACTS - 1]}
    facts = [f"{name}: {bad} of {whole} GPUs" for name, (bad, whole) in counts.items()]
    if silent:
        more = ", ..." if len(silent) > _FACTS else ""
        facts.append(f"no run received from {', '.join(silent[:_FACTS])}{more}")
    verdict = answer.bad[0][0] if answer.bad else "none"
    floor = "a node is as bad as its worst GPU"
    return Card("nodes", "Which node first?", verdict, answer.tone, tuple(facts), floor)


def _group_card(analysis: Analysis) -> Card:
    question, floor = "Do groups differ?", "medians of three nodes or more, 5 % false discoveries"
    answer = group_answer(analysis)
    if not answer.compared:
        advice = "no attribute has two groups of three nodes: --labels FILE adds rack, cooling and the like"
        return Card("groups", question, "not compared", answer.tone, (), floor, advice)
    facts = tuple(
        f"{row.attribute} {row.value}: {row.resource} {speed(row.difference)}"
        for row in answer.differing[:_FACTS]
    )
    verdict = f"{len(answer.differing)} of {len(analysis.groups)} differ" if answer.differing else "no"
    return Card("groups", question, verdict, answer.tone, facts, floor)
