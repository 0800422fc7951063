"""Which rank of a job is slow: the fleet's test, applied to one copy and one product per rank."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.analysis.verdicts import STATES, State, Verdict, gravest, state_of
from quantroof.bench.sniff.times import Place, ProbeTimes
from quantroof.finding import Finding
from quantroof.fleet.collection import Unit, Work, population_of
from quantroof.fleet.evidence import Evidence, GpuTimes, Retest, weigh
from quantroof.fleet.findings import by_class, gpu_findings
from quantroof.fleet.grades import ALONE
from quantroof.fleet.policy import MIN_SIBLINGS, Policy
from quantroof.fleet.scores import CLASSES
from quantroof.hwprofiles.types import Device, DeviceKind
from quantroof.units import percent

_WORKS = (Work("copy", "any", 0, 1), Work("product", "bf16", 1, 0))
_WEIGHTS = np.eye(len(CLASSES))  # the copy is memory, the product compute


@dataclass(frozen=True, slots=True)
class RankState:
    """One rank: its device, its state with the reasons, and the log time beside its siblings by class."""

    rank: int
    place: Place
    times: ProbeTimes
    state: State
    reasons: tuple[Finding, ...]
    level: dict[str, float | None]

    def __str__(self) -> str:
        where = f"rank {self.rank}, {self.place.node} {self.place.kind}:{self.place.index}"
        board = f" ({self.place.pci})" if self.place.pci else ""
        why = f": {self.reasons[0].text}" if self.reasons else ""
        return f"{where}{board} {self.state}{why}"


@dataclass(frozen=True, slots=True)
class Sniff:
    """The ranks in their order and the verdict on the group, the same on every rank."""

    verdict: Verdict
    ranks: tuple[RankState, ...]
    seconds: float

    @property
    def bad(self) -> tuple[RankState, ...]:
        """The ranks that are degraded or failed."""
        return tuple(rank for rank in self.ranks if rank.state in ("degraded", "failed"))

    def __str__(self) -> str:
        head = f"{len(self.ranks)} ranks: {self.verdict.state}"
        shown = self.bad or self.ranks[: self.verdict.state == "unknown"]
        return "\n".join([head, *map(str, shown)])


def judge_ranks(
    places: Sequence[Place],
    times: Sequence[ProbeTimes],
    again: Sequence[ProbeTimes] | None,
    past: Sniff | None,
    seconds: float,
) -> Sniff:
    """Ranks of one model of device are compared with each other, and each with itself in an earlier sniff;
    findings that `again`, a second measurement, does not confirm are dropped."""
    ranks: list[RankState] = []
    for name in dict.fromkeys(place.name for place in places):
        alike = [rank for rank, place in enumerate(places) if place.name == name]
        broken = [rank for rank in alike if _error(rank, times, again) is not None]
        whole = [rank for rank in alike if rank not in broken]
        ranks += [_broken(rank, places[rank], _error(rank, times, again) or "") for rank in broken]
        ranks += _compared(whole, places, (times, again), past) if whole else []
    ranks.sort(key=lambda one: one.rank)
    worst = min(ranks, key=lambda one: STATES.index(one.state))
    state = gravest(one.state for one in ranks)
    return Sniff(Verdict(state, None if state == "ok" else str(worst)), tuple(ranks), seconds)


def _error(rank: int, times: Sequence[ProbeTimes], again: Sequence[ProbeTimes] | None) -> str | None:
    """Why a rank has no times, of either measurement."""
    return times[rank].error or (again[rank].error if again else None)


def _broken(rank: int, place: Place, error: str) -> RankState:
    reason = Finding("failed", "probe_failed", error)
    return RankState(rank, place, ProbeTimes(error=error), "failed", (reason,), dict.fromkeys(CLASSES))


def _compared(
    ranks: list[int],
    places: Sequence[Place],
    measured: tuple[Sequence[ProbeTimes], Sequence[ProbeTimes] | None],
    past: Sniff | None,
) -> Iterator[RankState]:
    first, again = measured
    policy = Policy()
    log_ns = _log_times(first, ranks)
    units = [_unit(places[rank]) for rank in ranks]
    gpus = GpuTimes(units, list(_WORKS), np.arange(len(_WORKS)), log_ns, _WEIGHTS)
    retest = None if again is None else Retest(_log_times(again, ranks), np.ones(len(ranks), dtype=bool))
    evidence = weigh(gpus, _past(ranks, places, past), None, retest, policy)
    for row, rank in enumerate(ranks):
        findings = [
            _few(evidence, row) if finding.code == ALONE else finding
            for finding in gpu_findings(evidence, row, [], None, policy)
        ]
        state = gravest([state_of(finding.level) for finding in findings] or ["ok"])
        level = by_class(evidence.scores.level[row])
        yield RankState(rank, places[rank], first[rank], state, tuple(findings), level)


def _log_times(times: Sequence[ProbeTimes], ranks: list[int]) -> Array:
    """[ranks, classes] in log nanoseconds, NaN where a probe failed."""
    table = [[times[rank].memory_ns, times[rank].compute_ns] for rank in ranks]
    return np.asarray(np.log(np.array([[np.nan if ns is None else ns for ns in row] for row in table])))


def _past(ranks: list[int], places: Sequence[Place], past: Sniff | None) -> Array:
    """The log times of the same ranks on the same devices in an earlier sniff; NaN where there are none."""
    earlier = {(one.rank, one.place): one.times for one in past.ranks} if past else {}
    return _log_times(
        [earlier.get((rank, places[rank]), ProbeTimes()) for rank in ranks], [*range(len(ranks))]
    )


def _few(evidence: Evidence, row: int) -> Finding:
    """Too few ranks to compare: their difference is reported, and no rank is called slow."""
    log_ns = evidence.times.log_ns
    text = f"fewer than {MIN_SIBLINGS} ranks alike and no earlier sniff"
    if len(log_ns) > 1:
        behind = -np.expm1(log_ns.min(axis=0) - log_ns[row])
        apart = [f"{name} {percent(float(loss), 1)}" for name, loss in zip(CLASSES, behind, strict=True)]
        text += f"; behind the fastest by {', '.join(apart)}"
    return Finding("unknown", ALONE, text)


def _unit(place: Place) -> Unit:
    device = Device(
        kind=cast("DeviceKind", place.kind),
        index=place.index,
        name=place.name,
        uuid=place.uuid,
        pci=place.pci,
    )
    population = population_of(device, "sniff", "burst", "cold", simulated=False)
    return Unit("sniff", "", place.node, device, population)
