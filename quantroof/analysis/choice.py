"""Which format at which batch: the best kernel of every scheme, the winner, ties, and crossovers in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import Point

BASELINE = "bf16"
LAYER_OPERATIONS = ("gemv", "gemm")
_STATIC = "-static"  # activations arrive quantized: that cost lies outside the call, so it cannot win


@dataclass(frozen=True, slots=True)
class Batch:
    """One M of one layer: the fastest point of every scheme, the winner and the schemes that tie with it.

    A scheme ties where its 95 % interval overlaps the winner's.
    """

    m: int
    best: dict[str, Point]
    winner: str | None
    ties: frozenset[str]

    @property
    def leaders(self) -> tuple[str, ...]:
        """The winner and those that tie with it; empty where no scheme can win."""
        return () if self.winner is None else (self.winner, *sorted(self.ties))


@dataclass(frozen=True, slots=True)
class LayerChoice:
    """One layer (N, K) of one device: batches in order of M, and the schemes seen."""

    n: int
    k: int
    schemes: tuple[str, ...]
    batches: tuple[Batch, ...]

    def sentence(self) -> str:
        """Who wins from which M: `int4-w4a16 to M = 48, fp8-w8a8 from 64`."""
        return crossover([(batch.m, batch.leaders) for batch in self.batches])


def layer_choices(results: DeviceResults, order: Iterable[str]) -> list[LayerChoice]:
    """The choice for every layer of a device, largest weight first; schemes in this order."""
    ranks = {name: rank for rank, name in enumerate(order)}
    cells: dict[tuple[int, int], dict[int, dict[str, Point]]] = {}
    products = (point for point in results.timed if point.case.operation in LAYER_OPERATIONS)
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
    """False for a scheme whose activations arrive quantized: the cost of that is not in its time."""
    return _STATIC not in scheme


def overall(choices: list[LayerChoice]) -> list[tuple[int, dict[str, float]]]:
    """Per M, the sum over all layers of the best time (ns) of every scheme that has them all."""
    return [
        (m, {name: sum(_median(point) for point in points) for name, points in best.items()})
        for m, best in whole_batches(choices)
    ]


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
    longest from there, so that a tie does not read as a change.
    """
    rest = [(m, names) for m, names in leaders if names]
    spans: list[tuple[str, int, int]] = []
    while rest:
        length, name = max(((_lead(rest, name), name) for name in rest[0][1]), key=lambda pair: pair[0])
        spans.append((name, rest[0][0], rest[length - 1][0]))
        rest = rest[length:]
    if not spans:
        return "nothing was timed"
    if len(spans) == 1:
        name, first, last = spans[0]
        return f"{name} wins at M = {first}" if first == last else f"{name} wins from M = {first} to {last}"
    (first_name, _, to), *between, (last_name, since, _) = spans
    middle = [f"{name} at {a}" if a == b else f"{name} from {a} to {b}" for name, a, b in between]
    return ", ".join([f"{first_name} wins to M = {to}", *middle, f"{last_name} from {since}"])


def _lead(leaders: list[tuple[int, tuple[str, ...]]], name: str) -> int:
    """For how many batches from the first on a name leads."""
    return next((i for i, (_, names) in enumerate(leaders) if name not in names), len(leaders))


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
