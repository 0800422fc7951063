"""The page of one node: its verdict, what to do, every GPU with its identity, and the text of a return.

It has no script and loads nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantroof.fleet.next_steps import next_steps
from quantroof.reports.html.bundle import asset
from quantroof.reports.html.fleet_node_parts import Table, identity_table
from quantroof.reports.html.page import template
from quantroof.reports.text.burn_in_lines import HEADINGS, gpu_cells
from quantroof.reports.text.fleet_words import verdict_words
from quantroof.reports.text.link_lines import Grid, link_grids

if TYPE_CHECKING:
    from quantroof.analysis.verdicts import State
    from quantroof.fleet.burn_in import BurnInResult

_CONTENT_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class GpuRow:
    """One GPU: its state, and its cells in the order of the headings."""

    state: State
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePage:
    """Everything that node.html shows."""

    policy: str
    style: str
    name: str
    state: State
    verdict: str
    simulated: bool
    headings: tuple[str, ...]
    gpus: tuple[GpuRow, ...]
    identity: Table
    actions: tuple[str, ...]
    drain: tuple[str, ...]
    grids: tuple[Grid, ...]
    evidence: str
    not_tested: str
    remarks: tuple[str, ...]
    runs: tuple[str, ...]


def node_html(outcome: BurnInResult) -> str:
    """The page of a burn-in."""
    node = outcome.node
    steps = next_steps(node)
    page = NodePage(
        policy=_CONTENT_POLICY,
        style=asset("style.css", "fleet.css"),
        name=node.name,
        state=node.verdict.state,
        verdict=verdict_words(node.verdict),
        simulated=node.simulated,
        headings=HEADINGS,
        gpus=tuple(GpuRow(gpu.state, gpu_cells(gpu)) for gpu in node.gpus),
        identity=identity_table(node.gpus),
        actions=steps.actions,
        drain=steps.drain,
        grids=() if node.links is None else tuple(link_grids(node.links)),
        evidence=steps.evidence,
        not_tested=", ".join(node.not_tested),
        remarks=(*node.remarks, *node.problems),
        runs=tuple(map(str, outcome.directories)),
    )
    return str(template("node.html").render(page=page))
