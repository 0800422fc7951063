"""The judgment of a fleet: every GPU with its state and findings, nodes ranked, groups compared."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from quantroof.analysis.roofs import READ
from quantroof.analysis.verdicts import STATES, State, gravest, state_of
from quantroof.finding import Finding
from quantroof.fleet.beside import completed, confirmed_links
from quantroof.fleet.collection import Collection, Population, Times, Unit
from quantroof.fleet.comparisons import below_datasheet, datasheet_shares, read_floor, reference_fleet
from quantroof.fleet.evidence import Evidence, gpu_times, past_times, retest_times, weigh
from quantroof.fleet.fading import fading_findings
from quantroof.fleet.findings import by_class, gpu_findings
from quantroof.fleet.grades import JUDGED_ALONE, vouched
from quantroof.fleet.groups import GroupRow, Labels, compare_groups
from quantroof.fleet.past import latest_and_past
from quantroof.fleet.policy import MIN_SIBLINGS, Policy
from quantroof.fleet.preflight import preflight
from quantroof.fleet.quantities import of_gpu, quantity_levels
from quantroof.fleet.scores import CLASSES, expected_below
from quantroof.fleet.sweeps import Sweep, sweeps
from quantroof.fleet.within import judged_within_groups

TRACED = 1024
"""GPUs of a population up to which the earlier runs of all are shown, and not of the bad ones alone."""


@dataclass(frozen=True, slots=True)
class GpuResult:
    """One GPU. `level` is its log time per class relative to its siblings (0.05: 5 % slower), `past` relative
    to its own past, `reference` to the reference's median; None if there is nothing to compare with.
    `datasheet` holds shares of the datasheet. `findings` are the gravest first, notes last. `sweeps` are all
    runs, the latest last; of more than TRACED GPUs, those of a bad one. `quantities` are log times beside
    the siblings' median."""

    unit: Unit
    population: Population
    level: dict[str, float | None]
    past: dict[str, float | None]
    reference: dict[str, float | None]
    datasheet: dict[str, float]
    slow_cases: int
    findings: tuple[Finding, ...]
    sweeps: tuple[Sweep, ...] = ()
    quantities: dict[str, float | None] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The state that the gravest finding puts it in; notes leave it ok."""
        return gravest([state_of(finding.level) for finding in self.findings] or ["ok"])

    @property
    def bad(self) -> bool:
        """Whether a site should not schedule jobs on it."""
        return self.state in ("failed", "degraded")

    @property
    def worst(self) -> float:
        """The slowest class, for ranking."""
        return max((v for v in self.level.values() if v is not None), default=0.0)


@dataclass(frozen=True, slots=True)
class PopulationSummary:
    """Similar GPUs: how many, how much they spread, the floor of each class as a share of the siblings'
    median, and what share of healthy ones is below it by chance."""

    population: Population
    gpus: int
    works: int
    compared: bool
    """Whether there are enough of them to compare; otherwise `spread` is the prior alone."""
    spread: dict[str, float]
    floor: dict[str, float]
    expected_below: dict[str, float]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """The judgment of a fleet. GPUs and nodes come worst first."""

    gpus: list[GpuResult]
    populations: list[PopulationSummary]
    groups: list[GroupRow]
    problems: list[str]
    policy: Policy

    @property
    def bad(self) -> list[GpuResult]:
        """The GPUs that a site should not schedule jobs on."""
        return [gpu for gpu in self.gpus if gpu.bad]

    def nodes(self) -> list[tuple[str, list[GpuResult]]]:
        """GPUs by node, the node with the worst GPU first."""
        by_node: dict[str, list[GpuResult]] = defaultdict(list)
        for gpu in self.gpus:
            by_node[gpu.unit.node].append(gpu)
        return list(by_node.items())


def analyze(
    collection: Collection,
    policy: Policy,
    labels: Labels | None = None,
    retest: Collection | None = None,
    now: datetime | None = None,
    reference: Collection | None = None,
) -> Analysis:
    """Judge the latest run of every GPU by its siblings, its own past and what it reports about itself.

    `retest` holds second measurements of suspects: what they do not confirm is dropped. `reference` holds
    GPUs whose median the judged ones must reach by the floor. GPUs of different populations are never
    compared.
    """
    now = now or datetime.now(UTC)
    history = latest_and_past(collection.units, now)
    collection = replace(collection, units=completed(collection.units, history.past, now))
    by_population: dict[Population, list[int]] = defaultdict(list)
    for index in history.latest:
        by_population[collection.units[index].population].append(index)
    problems = [*collection.problems, *history.problems, *_mixed(by_population)]
    others = _Others(history.past, _timed(retest), _timed(reference))
    times = collection.log_times()
    everything = {
        population: _evidence((collection, times), indices, others, policy)
        for population, indices in by_population.items()
    }
    groups = compare_groups(_levels(everything), labels)
    gpus, summaries = [], []
    odd = _odd_caps(by_population)
    for population, whole in everything.items():
        evidence, inside = judged_within_groups(whole, groups, labels, policy)
        if reference is not None and evidence.reference is None:
            problems.append(f"the reference has no other GPU of this kind: {population}")
        findings, remarks = preflight(
            confirmed_links(evidence.times.units, retest), policy, odd_cap=population in odd
        )
        faded = fading_findings(collection, times, by_population[population])
        findings = [[*earlier, *own] for earlier, own in zip(findings, faded, strict=True)]
        judged = _results(population, evidence, findings, policy)
        runs = [history.past.get(index, []) for index in by_population[population]]
        gpus += _with_sweeps(judged, evidence, runs, (collection, times))
        summaries.append(_summary(population, evidence, [*remarks, *inside], policy))
    gpus = _vouched(gpus)
    gpus.sort(key=lambda gpu: (STATES.index(gpu.state), -gpu.worst))
    return Analysis(gpus, summaries, groups, problems, policy)


def _with_sweeps(
    gpus: list[GpuResult], evidence: Evidence, runs: list[list[int]], timed: _Timed
) -> list[GpuResult]:
    """The GPUs of a population with their runs; `runs` are the earlier ones of each. Of a large one, only the
    bad GPUs have them."""
    rows = [row for row, gpu in enumerate(gpus) if gpu.bad or len(gpus) <= TRACED]
    traced = dict(zip(rows, sweeps(evidence, rows, [runs[row] for row in rows], timed), strict=True))
    return [replace(gpu, sweeps=traced.get(row, ())) for row, gpu in enumerate(gpus)]


def _levels(everything: dict[Population, Evidence]) -> list[tuple[Unit, Population, dict[str, float | None]]]:
    """The levels of all GPUs by class, for the comparison of groups."""
    return [
        (unit, population, _own_levels(evidence, row))
        for population, evidence in everything.items()
        for row, unit in enumerate(evidence.times.units)
    ]


def _own_levels(evidence: Evidence, row: int) -> dict[str, float | None]:
    return by_class(evidence.scores.level[row]) if evidence.compared else dict.fromkeys(CLASSES)


def _odd_caps(by_population: dict[Population, list[int]]) -> set[Population]:
    """Populations of few GPUs whose power limit is lower than that of many others of their model."""
    alike = Counter({p.uncapped: 0 for p in by_population})
    for population, indices in by_population.items():
        alike[population.uncapped] += len(indices)
    return {
        population
        for population, indices in by_population.items()
        if population.power_cap_w is not None
        and len(indices) < MIN_SIBLINGS <= alike[population.uncapped] - len(indices)
    }


_Timed = tuple[Collection, Times]


@dataclass(frozen=True, slots=True)
class _Others:
    """What the GPUs of every population are compared with, beside their siblings."""

    past: dict[int, list[int]]
    retest: _Timed | None
    reference: _Timed | None


def _timed(collection: Collection | None) -> _Timed | None:
    return None if collection is None else (collection, collection.log_times())


def _evidence(timed: _Timed, indices: list[int], others: _Others, policy: Policy) -> Evidence:
    collection, times = timed
    gpus = gpu_times(collection, times, indices)
    past = past_times(gpus, times, [others.past.get(index, []) for index in indices])
    reference = others.reference and reference_fleet(
        gpus.units, gpus.works, gpus.class_weights, *others.reference
    )
    retest = others.retest and retest_times(gpus, *others.retest)
    return weigh(gpus, past, reference, retest, policy)


def _results(
    population: Population, evidence: Evidence, preflight_findings: list[list[Finding]], policy: Policy
) -> list[GpuResult]:
    """Every GPU of a population with its findings."""
    units = evidence.times.units
    shares = datasheet_shares(units, evidence.times.works, evidence.best_log_ns)
    quantities, floor = quantity_levels(evidence), read_floor(units, policy)
    alone = [
        [*found, *below_datasheet(share.get(READ), floor)]
        for found, share in zip(preflight_findings, shares, strict=True)
    ]
    return [
        GpuResult(
            unit=unit,
            population=population,
            level=_own_levels(evidence, row),
            past=by_class(evidence.past_change[row]),
            reference=by_class(evidence.reference_level[row]),
            datasheet=shares[row],
            slow_cases=int(evidence.scores.slow_cases[row].sum()),
            findings=gpu_findings(evidence, row, alone[row], shares[row].get(READ), policy),
            quantities=of_gpu(quantities, row),
        )
        for row, unit in enumerate(units)
    ]


def _summary(
    population: Population, evidence: Evidence, remarks: list[str], policy: Policy
) -> PopulationSummary:
    """What was compared, and how well it could be."""
    siblings = evidence.siblings
    return PopulationSummary(
        population=population,
        gpus=len(evidence.times.units),
        works=len(evidence.times.works),
        compared=evidence.compared,
        spread=dict(zip(CLASSES, map(float, siblings.spread), strict=True)),
        floor=dict(zip(CLASSES, map(float, np.exp(-siblings.floors(policy))), strict=True)),
        expected_below=dict(zip(CLASSES, map(float, expected_below(siblings, policy)), strict=True)),
        remarks=tuple(remarks),
    )


def _vouched(gpus: list[GpuResult]) -> list[GpuResult]:
    """A GPU that one kind of run judges by itself is not unknown because another kind has no datasheet."""
    judged = {gpu.unit.identity for gpu in gpus if any(f.code == JUDGED_ALONE for f in gpu.findings)}
    return [
        replace(gpu, findings=vouched(gpu.findings)) if gpu.unit.identity in judged else gpu for gpu in gpus
    ]


def _mixed(by_population: dict[Population, list[int]]) -> list[str]:
    if len(by_population) < 2:
        return []
    parts = "; ".join(f"{population} ({len(units)})" for population, units in by_population.items())
    return [f"{len(by_population)} kinds of runs, each judged by itself: {parts}"]
