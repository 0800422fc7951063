"""The fleet's answer: every GPU with its grade and what speaks against it, nodes ranked, groups compared."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.fleet.absolute import READ, below_datasheet, datasheet_shares
from quantroof.fleet.bounds import followed
from quantroof.fleet.collection import Collection, Population, Times, Unit, matrix
from quantroof.fleet.groups import GroupRow, Labels, compare_groups
from quantroof.fleet.past import latest_and_past
from quantroof.fleet.policy import MIN_SIBLINGS, Policy
from quantroof.fleet.preflight import GRADES, Finding, preflight
from quantroof.fleet.reference import ReferenceFleet, below_reference, on_works, reference_fleet
from quantroof.fleet.scores import (
    CLASSES,
    TESTS,
    Mask,
    Scores,
    below_policy,
    change_from_past,
    confirmed_by_retest,
    defective,
    expected_below,
    learn_siblings,
    nanmedian,
    score,
    slower_on_retest,
)


@dataclass(frozen=True, slots=True)
class GpuResult:
    """One GPU. `level` is log time beside its siblings by class (0.05: 5 % slower), `past` beside its own
    past, `reference` beside the reference's median; None where not known. `datasheet` holds shares of the
    vendor's figures. `findings` are the gravest first, notes last."""

    unit: Unit
    population: Population
    level: dict[str, float | None]
    past: dict[str, float | None]
    reference: dict[str, float | None]
    datasheet: dict[str, float]
    slow_cases: int
    findings: tuple[Finding, ...]

    @property
    def grade(self) -> str:
        """The gravest finding's grade, else healthy; a note is none."""
        return next((f.grade for f in self.findings if f.grade != "note"), "healthy")

    @property
    def bad(self) -> bool:
        """Whether a site would not give it to a job."""
        return self.grade in ("failed", "defective", "below policy")

    @property
    def worst(self) -> float:
        """The slowest class, for ranking."""
        return max((v for v in self.level.values() if v is not None), default=0.0)


@dataclass(frozen=True, slots=True)
class PopulationSummary:
    """GPUs alike: how many, how much they spread, and what share of healthy ones a floor would catch."""

    population: Population
    gpus: int
    works: int
    compared: bool
    """Whether there are enough of them to compare; `spread` is nothing but the prior otherwise."""
    spread: dict[str, float]
    expected_below: dict[str, float]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that is shown. GPUs and nodes come worst first."""

    gpus: list[GpuResult]
    populations: list[PopulationSummary]
    groups: list[GroupRow]
    problems: list[str]
    policy: Policy

    @property
    def bad(self) -> list[GpuResult]:
        """Those that a site would not give to a job."""
        return [gpu for gpu in self.gpus if gpu.bad]

    def nodes(self) -> list[tuple[str, list[GpuResult]]]:
        """GPUs by node, the node with the worst GPU first."""
        found: dict[str, list[GpuResult]] = defaultdict(list)
        for gpu in self.gpus:
            found[gpu.unit.node].append(gpu)
        return list(found.items())


def analyze(
    collection: Collection,
    policy: Policy,
    labels: Labels | None = None,
    retest: Collection | None = None,
    now: datetime | None = None,
    reference: Collection | None = None,
) -> Analysis:
    """Judge the latest run of every GPU against its siblings, its own past and what it says of itself.

    `retest` holds second measurements of suspects: what they do not bear out is dropped. `reference` holds
    GPUs whose median the judged ones must reach by the floor. GPUs of different populations never meet.
    """
    chosen = latest_and_past(collection.units, now or datetime.now(UTC))
    times, again_times = collection.log_times(), None if retest is None else retest.log_times()
    by_population: dict[Population, list[int]] = defaultdict(list)
    for index in chosen.latest:
        by_population[collection.units[index].population].append(index)
    problems = [*collection.problems, *chosen.problems, *_mixed(by_population)]
    gpus, summaries = [], []
    for population, units in by_population.items():
        judge = _PopulationJudge(collection, times, units, policy)
        judge.against_past(chosen.past)
        if reference is not None:
            problems += judge.against_reference(reference, reference.log_times())
        if retest is not None and again_times is not None:
            judge.confirm(retest, again_times)
        gpus += judge.judged(population)
        summaries.append(judge.summary(population))
    gpus.sort(key=lambda g: (GRADES.index(g.findings[0].grade) if g.findings else len(GRADES), -g.worst))
    groups = compare_groups([(g.unit, g.population, g.level) for g in gpus], labels)
    return Analysis(gpus, summaries, groups, problems, policy)


class _PopulationJudge:
    """Judges GPUs of one population, step by step."""

    def __init__(self, collection: Collection, times: Times, units: list[int], policy: Policy) -> None:
        self._indices, self._policy, self._times = units, policy, times
        self._units = [collection.units[i] for i in units]
        self._population = self._units[0].population
        self._remarks: list[str] = []
        self._columns, self._log_ns = matrix(times, units)
        self._works = works = [collection.works[i] for i in self._columns]
        self._follows = followed(works, nanmedian(self._log_ns, 0)) if works else np.empty((0, 2))
        self._reference = learn_siblings(self._log_ns, self._follows)
        self._scores = score(self._log_ns, self._follows, self._reference, policy)
        self._compared = len(units) >= MIN_SIBLINGS and bool(works)
        self._defective = defective(self._scores, policy) & self._compared
        self._below = below_policy(self._scores, policy) & self._compared
        self._past = np.full((len(units), len(CLASSES)), np.nan)
        self._earlier = np.full_like(self._log_ns, np.nan)
        self._slower = np.zeros((len(units), len(CLASSES)), dtype=bool)
        self._reference_given: ReferenceFleet | None = None
        self._beside = np.full((len(units), len(CLASSES)), np.nan)
        self._again = np.full_like(self._log_ns, np.nan)
        self._retested = np.zeros(len(units), dtype=bool)
        self._cleared = np.zeros(len(units), dtype=bool)

    def against_past(self, past: dict[int, list[int]]) -> None:
        """Compare with the median of each GPU's earlier runs, by index of its latest."""
        table = self._earlier
        for row, index in enumerate(self._indices):
            if index in past:
                columns, earlier = matrix(self._times, past[index])
                shared, mine, theirs = np.intersect1d(self._columns, columns, return_indices=True)
                table[row, mine] = nanmedian(earlier[:, theirs], 0) if len(shared) else np.nan
        self._past, self._slower = change_from_past(self._log_ns, table, self._follows, self._policy)

    def against_reference(self, given: Collection, times: Times) -> list[str]:
        """Compare with the median of other GPUs; a line where none of them is alike."""
        found = reference_fleet(self._population, self._units, self._works, given, times)
        if found is None:
            return [f"the reference has no other GPU of this kind: {self._population}"]
        self._reference_given = found
        self._beside = found.level(self._log_ns, self._follows)
        return []

    def confirm(self, retest: Collection, times: Times) -> None:
        """Drop what a second measurement of a GPU does not show again."""
        second = {u.identity: i for i, u in enumerate(retest.units) if u.population == self._population}
        rows = [r for r, unit in enumerate(self._units) if unit.identity in second]
        if not rows:
            return
        repeated = on_works(retest, times, [second[self._units[r].identity] for r in rows], self._works)
        fresh = score(repeated, self._follows, self._reference, self._policy)
        first, suspects = self._scores, self._suspects()
        confirmed = confirmed_by_retest(
            Scores(first.level[rows], first.slow_cases[rows], first.p[rows]), fresh, self._policy
        )
        self._defective[rows] &= confirmed
        self._below[rows] &= below_policy(fresh, self._policy)
        self._slower[rows] &= slower_on_retest(repeated, self._earlier[rows], self._follows, self._policy)
        if self._reference_given is not None:
            level = self._reference_given.level(repeated, self._follows)
            self._beside[rows] = np.fmin(self._beside[rows], level)
        self._again[rows] = repeated
        self._retested[rows] = True
        self._cleared = suspects & ~self._suspects()

    def _suspects(self) -> Mask:
        """[gpus]: called slow by siblings or by their past."""
        return np.asarray(np.column_stack([self._defective, self._below, self._slower]).any(axis=1))

    def judged(self, population: Population) -> list[GpuResult]:
        """Every GPU with all that was found, the gravest first."""
        found, self._remarks = preflight(self._units, self._policy)
        best = np.fmin(self._log_ns, self._again)  # a read that is fast enough once is
        shares = datasheet_shares(self._units, self._works, best)
        level = self._scores.level if self._compared else np.full_like(self._scores.level, np.nan)
        made = []
        for row, unit in enumerate(self._units):
            findings = [*found[row], *self._absolute(row, shares[row].get(READ)), *self._statistical(row)]
            if all(f.grade == "note" for f in findings) and self._alone(row):
                text = f"fewer than {MIN_SIBLINGS} GPUs alike, no past and no reference"
                findings.append(Finding("not judged", "alone", text))
            busy = [f for f in findings if f.grade == "not judged"]
            if busy and not any(f.grade == "failed" for f in findings):
                findings = busy
            findings.sort(key=lambda f: GRADES.index(f.grade))
            made.append(
                GpuResult(
                    unit, population, _named(level[row]), _named(self._past[row]), _named(self._beside[row]),
                    shares[row], int(self._scores.slow_cases[row].sum()), tuple(findings),
                )
            )  # fmt: skip
        return made

    def _alone(self, row: int) -> bool:
        """Whether nothing but the datasheet speaks about the speed of a GPU."""
        return not self._compared and bool(np.isnan([self._past[row], self._beside[row]]).all())

    def _absolute(self, row: int, read: float | None) -> list[Finding]:
        found = [] if (low := below_datasheet(read, self._policy)) is None else [low]
        if self._reference_given is not None:
            found += below_reference(self._beside[row], self._reference_given, self._policy)
        return found

    def summary(self, population: Population) -> PopulationSummary:
        """What was compared, and how well it could be."""
        expected = expected_below(self._reference, self._policy)
        return PopulationSummary(
            population, len(self._units), len(self._columns), self._compared,
            dict(zip(CLASSES, map(float, self._reference.spread), strict=True)),
            dict(zip(CLASSES, map(float, expected), strict=True)),
            tuple(self._remarks),
        )  # fmt: skip

    def _statistical(self, row: int) -> list[Finding]:
        found = []
        if self._cleared[row]:
            found.append(Finding("note", "cleared", "slow at first, and not when it was measured again"))
        repeated = ", measured again" if self._retested[row] else ""
        for test, name in enumerate(TESTS):
            if self._defective[row, test]:
                found.append(Finding("defective", name, self._defect_text(row, test) + repeated))
        for c, name in enumerate(CLASSES):
            if self._below[row, c]:
                speed = math.exp(-self._scores.level[row, c])
                text = f"{name} at {speed:.1%} of the siblings' median, the floor is {self._policy.floor:.0%}"
                found.append(Finding("below policy", f"{name}_floor", text + repeated))
            if self._slower[row, c]:
                text = f"{name} {_percent(self._past[row, c])} against its own past{repeated}"
                found.append(Finding("defective", f"{name}_past", text))
        return found

    def _defect_text(self, row: int, test: int) -> str:
        p = self._scores.p[row, test]
        if test == len(CLASSES):
            slow = int(self._scores.slow_cases[row].sum())
            return f"{slow} of {len(self._columns)} cases slow beside the rest of this GPU ({_chance(p)})"
        return f"{CLASSES[test]} {_percent(self._scores.level[row, test])} against siblings ({_chance(p)})"


def _percent(level: float) -> str:
    """A log time as a change of speed."""
    return f"{math.exp(-level) - 1:+.1%}"


def _chance(p: float) -> str:
    """A p value in words; below 1e-12 the tail of t is rounding."""
    return "p < 1e-12" if p < 1e-12 else f"p = {p:.0e}"


def _named(levels: Array) -> dict[str, float | None]:
    return {name: None if math.isnan(v) else float(v) for name, v in zip(CLASSES, levels, strict=True)}


def _mixed(by_population: dict[Population, list[int]]) -> list[str]:
    if len(by_population) < 2:
        return []
    parts = "; ".join(f"{population} ({len(units)})" for population, units in by_population.items())
    return [f"{len(by_population)} kinds of runs, each judged by itself: {parts}"]
