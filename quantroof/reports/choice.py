"""Which format at which batch: the best kernel of every scheme, the winner, ties, and crossovers in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quantroof.reports.points import Point
from quantroof.reports.subjects import Subject

BASELINE = "bf16"
LAYER_OPERATIONS = ("gemv", "gemm")
_STATIC = "-static"  # activations arrive quantised: their cost lies outside the call, so it cannot win


@dataclass(frozen=True, slots=True)
class Batch:
    """One M of one layer: the quickest point of every scheme, the winner and who ties with it.

    A scheme ties where its 95 % interval overlaps the winner's.
    """

    m: int
    best: dict[str, Point]
    winner: str | None
    ties: frozenset[str]

    def speedup(self, scheme: str) -> float | None:
        """Time of the baseline over the time of a scheme, both at this M."""
        base, own = self.best.get(BASELINE), self.best.get(scheme)
        if base is None or own is None or base.time is None or own.time is None:
            return None
        return base.time.median / own.time.median


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """One layer (N, K) of one device: batches in order of M, and the schemes seen."""

    n: int
    k: int
    schemes: tuple[str, ...]
    batches: tuple[Batch, ...]

    def sentence(self) -> str:
        """Who wins from which M: `int4-w4a16 to M = 48, fp8-w8a8 from 64`."""
        return crossover([(batch.m, batch.winner) for batch in self.batches])


def layer_choices(subject: Subject, order: Iterable[str]) -> list[LayerChoice]:
    """The choice for every layer of a device, largest weight first; schemes in the given order."""
    ranks = {name: rank for rank, name in enumerate(order)}
    cells: dict[tuple[int, int], dict[int, dict[str, Point]]] = {}
    products = (point for point in subject.timed if point.case.operation in LAYER_OPERATIONS)
    for point in products:
        best = cells.setdefault(point.layer, {}).setdefault(point.case.m, {})
        rival = best.get(point.scheme)
        if rival is None or _median(point) < _median(rival):
            best[point.scheme] = point
    choices = []
    for (n, k), batches in sorted(cells.items(), key=lambda item: (-item[0][0] * item[0][1], item[0])):
        seen = sorted(
            {name for best in batches.values() for name in best}, key=lambda s: (ranks.get(s, 99), s)
        )
        judged = tuple(_batch(m, best) for m, best in sorted(batches.items()))
        choices.append(LayerChoice(n, k, tuple(seen), judged))
    return choices


def can_win(scheme: str) -> bool:
    """False for a scheme whose activations arrive quantised: somebody else paid for that."""
    return _STATIC not in scheme


def overall(choices: list[LayerChoice]) -> list[tuple[int, dict[str, float]]]:
    """Per M, the sum over all layers of the best time (ns) of every scheme that has them all."""
    by_batch: dict[int, list[Batch]] = {}
    for choice in choices:
        for batch in choice.batches:
            by_batch.setdefault(batch.m, []).append(batch)
    totals = []
    for m, batches in sorted(by_batch.items()):
        if len(batches) < len(choices):
            continue
        names = set.intersection(*(set(batch.best) for batch in batches))
        if names:
            totals.append((m, {name: sum(_median(batch.best[name]) for batch in batches) for name in names}))
    return totals


def crossover(winners: list[tuple[int, str | None]]) -> str:
    """Runs of one winner in words; M is a measured batch, nothing is interpolated."""
    spans: list[tuple[str, int, int]] = []
    for m, name in winners:
        if name is None:
            continue
        if spans and spans[-1][0] == name:
            spans[-1] = (name, spans[-1][1], m)
        else:
            spans.append((name, m, m))
    if not spans:
        return "nothing was timed"
    if len(spans) == 1:
        name, first, last = spans[0]
        return f"{name} wins at M = {first}" if first == last else f"{name} wins from M = {first} to {last}"
    (first_name, _, to), *between, (last_name, since, _) = spans
    middle = [f"{name} from {first} to {last}" for name, first, last in between]
    return ", ".join([f"{first_name} wins to M = {to}", *middle, f"{last_name} from {since}"])


def _batch(m: int, best: dict[str, Point]) -> Batch:
    rivals = {name: point.time for name, point in best.items() if can_win(name) and point.time is not None}
    if not rivals:
        return Batch(m, best, None, frozenset())
    winner = min(rivals, key=lambda name: rivals[name].median)
    ties = (name for name, time in rivals.items() if name != winner and time.low <= rivals[winner].high)
    return Batch(m, best, winner, frozenset(ties))


def _median(point: Point) -> float:
    assert point.time is not None
    return point.time.median
