"""Compare racks, drivers and coolings. The unit is the node, because its GPUs share these attributes."""

from __future__ import annotations

import csv
import io
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from quantroof.analysis.distributions import MAX_FREEDOM, benjamini_hochberg, t_tail
from quantroof.analysis.spread import robust_spread
from quantroof.errors import UsageError
from quantroof.files import read_text
from quantroof.fleet.collection import Population, Unit

Labels = dict[str, dict[str, str]]
"""Attributes of a node by its name: rack, cooling. Driver and VBIOS come from the runs."""

_MEDIAN_ERROR_RATIO = 1.2533  # standard error of a median over a mean's, for normal values
_RATE = 0.05
_LEAST = 3  # nodes of a group
_VERSIONS = ("driver", "vbios")  # of a GPU; several on one node are joined into one value


@dataclass(frozen=True, slots=True)
class GroupRow:
    """The median node of a group compared with the median of all other nodes, in log time; positive is
    slower."""

    population: Population
    attribute: str
    value: str
    resource: str
    nodes: int
    difference: float
    p: float
    differs: bool


def read_labels(path: Path) -> Labels:
    """A CSV with a header: `node` and any attributes."""
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        if reader.fieldnames is None or "node" not in reader.fieldnames:
            what = "the header has no column 'node'"
            raise UsageError(what, where=str(path), hint="node,rack,cooling")
        return {line["node"]: {k: v for k, v in line.items() if k != "node" and k and v} for line in reader}
    except csv.Error as error:
        raise UsageError(f"not CSV: {error}", where=str(path)) from None


def compare_groups(
    gpus: list[tuple[Unit, Population, dict[str, float | None]]], labels: Labels | None
) -> list[GroupRow]:
    """Every group of three nodes or more against the rest, the largest difference first."""
    levels: dict[tuple[Population, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    attributes: dict[str, dict[str, str]] = defaultdict(dict)
    versions: dict[tuple[str, str], set[str]] = defaultdict(set)
    for unit, population, level in gpus:
        for name in _VERSIONS:
            if version := getattr(unit.device, name):
                versions[unit.node, name].add(version)
        attributes[unit.node].update((labels or {}).get(unit.node, {}))
        for resource, value in level.items():
            if value is not None:
                levels[population, resource][unit.node].append(value)
    for (node, name), node_versions in versions.items():
        attributes[node].setdefault(name, " and ".join(sorted(node_versions)))
    rows = []
    for (population, resource), by_node in levels.items():
        nodes = {node: median(values) for node, values in by_node.items()}
        for attribute in sorted({name for node in nodes for name in attributes[node]}):
            rows += _attribute(population, attribute, resource, nodes, attributes)
    differs = benjamini_hochberg(np.array([row[-1] for row in rows]), _RATE)
    made = [GroupRow(*row, bool(d)) for row, d in zip(rows, differs, strict=True)]
    return sorted(made, key=lambda row: (not row.differs, -abs(row.difference)))


def attribute_of(unit: Unit, attribute: str, labels: Labels | None) -> str | None:
    """The group of a GPU: a label of its node, else its own version."""
    label = (labels or {}).get(unit.node, {}).get(attribute)
    return label if label is not None or attribute not in _VERSIONS else getattr(unit.device, attribute)


_Row = tuple[Population, str, str, str, int, float, float]


def _attribute(
    population: Population,
    attribute: str,
    resource: str,
    nodes: dict[str, float],
    attributes: dict[str, dict[str, str]],
) -> list[_Row]:
    groups: dict[str, list[str]] = defaultdict(list)
    for node in nodes:
        if (value := attributes[node].get(attribute)) is not None:
            groups[value].append(node)
    rows = []
    for value, members in groups.items():
        inside = set(members)
        rest = [level for node, level in nodes.items() if node not in inside]
        if len(members) >= _LEAST and len(rest) >= _LEAST:
            own = [nodes[node] for node in members]
            difference = median(own) - median(rest)
            p = _two_sided(difference, own, rest)
            rows.append((population, attribute, value, resource, len(own), difference, p))
    return rows


def _two_sided(difference: float, own: list[float], rest: list[float]) -> float:
    """Two-sided p of Welch's t of two medians, with spreads from quartiles and the smaller group's
    freedom."""
    variance = sum(float(robust_spread(np.array(v), axis=0)) ** 2 / len(v) for v in (own, rest))
    if variance == 0:
        return 1.0 if difference == 0 else 0.0
    t = abs(difference) / (_MEDIAN_ERROR_RATIO * math.sqrt(variance))
    return 2 * float(t_tail(np.array([t]), min(len(own) - 1, len(rest) - 1, MAX_FREEDOM))[0])
