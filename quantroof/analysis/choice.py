"""Which format at which batch: the best kernel of every scheme, the winner, ties and crossovers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import Point
from quantroof.analysis.winner import Winner, may_win, winner
from quantroof.kernels.case import LAYER_OPERATIONS

BASELINE = "bf16"


@dataclass(frozen=True, slots=True)
class Batch:
    """One M of one layer: the fastest point of every scheme, and which of them win."""

    m: int
    best: dict[str, Point]
    winner: Winner


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """One layer (N, K) of one device: batches in order of M, and the schemes seen."""

    n: int
    k: int
    schemes: tuple[str, ...]
    batches: tuple[Batch, ...]
    unusable: str | None = None
    """Why no winner is named although times are there."""
    lead_by: float = 0.0
    """By how much a scheme must lead besides its interval; above 0 no speed-up is exact enough to print."""

    def sentence(self) -> str:
        """Who wins from which M: `int4-w4a16 to M = 48, fp8-w8a8 from 64`."""
        if self.unusable is not None:
            return f"unknown: {self.unusable}"
        return crossover([(batch.m, batch.winner.leaders) for batch in self.batches])


def layer_choices(results: DeviceResults, order: Iterable[str]) -> list[LayerChoice]:
    """The choice for every layer of a device, largest weight first; schemes in this order."""
    ranks = {name: rank for rank, name in enumerate(order)}
    cells: dict[tuple[int, int], dict[int, dict[str, Point]]] = {}
    products = (point for point in results.timed if point.case.operation in LAYER_OPERATIONS)
    for point in products:
        best = cells.setdefault(point.layer, {}).setdefault(point.case.m, {})
        rival = best.get(point.scheme)
        if rival is None or _rank(point) < _rank(rival):
            best[point.scheme] = point
    choices = []
    for (n, k), batches in sorted(cells.items(), key=lambda item: (-item[0][0] * item[0][1], item[0])):
        seen = sorted(
            {name for best in batches.values() for name in best}, key=lambda s: (ranks.get(s, 99), s)
        )
        lead_by = results.trust.lead_by
        judged = tuple(_batch(m, best, lead_by) for m, best in sorted(batches.items()))
        unusable = results.trust.words if lead_by is None else None
        choices.append(LayerChoice(n, k, tuple(seen), judged, unusable, lead_by or 0.0))
    return choices


def whole_batches(choices: list[LayerChoice]) -> list[tuple[int, dict[str, list[Point]]]]:
    """Per M that every layer has, the best point of each layer for every scheme that has them all."""
    by_batch: dict[int, list[Batch]] = {}
    for choice in choices:
        for batch in choice.batches:
            by_batch.setdefault(batch.m, []).append(batch)
    whole = []
    for m, batches in sorted(by_batch.items()):
        if len(batches) < len(choices):
            continue
        names = set.intersection(*(set(batch.best) for batch in batches))
        if names:
            whole.append((m, {name: [batch.best[name] for batch in batches] for name in sorted(names)}))
    return whole


def crossover(leaders: list[tuple[int, tuple[str, ...]]]) -> str:
    """Who leads from which M, in words; M is a measured batch, nothing is interpolated.

    `leaders` holds, by M, the winner and those that tie with it. Among these the one is named that leads
    longest from there, so that a tie does not read as a change; those that lead equally long are `a = b`.
    """
    rest = [(m, names) for m, names in leaders if names]
    spans: list[tuple[str, int, int]] = []
    while rest:
        leads = {name: _lead(rest, name) for name in rest[0][1]}
        length = max(leads.values())
        longest = " = ".join(name for name, lead in leads.items() if lead == length)
        spans.append((longest, rest[0][0], rest[length - 1][0]))
        rest = rest[length:]
    if not spans:
        return "nothing was timed"
    if len(spans) == 1:
        name, first, last = spans[0]
        wins = "tie" if " = " in name else "wins"
        return (
            f"{name} {wins} at M = {first}" if first == last else f"{name} {wins} from M = {first} to {last}"
        )
    (first_name, _, to), *between, (last_name, since, _) = spans
    middle = [f"{name} at {a}" if a == b else f"{name} from {a} to {b}" for name, a, b in between]
    wins = "tie" if " = " in first_name else "wins"
    return ", ".join([f"{first_name} {wins} to M = {to}", *middle, f"{last_name} from {since}"])


def _lead(leaders: list[tuple[int, tuple[str, ...]]], name: str) -> int:
    """For how many batches from the first on a name leads."""
    return next((i for i, (_, names) in enumerate(leaders) if name not in names), len(leaders))


def _batch(m: int, best: dict[str, Point], lead_by: float | None) -> Batch:
    if lead_by is None:
        return Batch(m, best, Winner(None))
    return Batch(m, best, winner({name: [point] for name, point in best.items()}, lead_by))


def _rank(point: Point) -> tuple[bool, float]:
    """Kernels whose time counts first, then the fastest."""
    return not may_win(point), _median(point)


def _median(point: Point) -> float:
    assert point.time is not None
    return point.time.median
