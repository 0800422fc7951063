"""All layers of a device together: one sum per M and scheme, because a token passes through all of them."""

from __future__ import annotations

from dataclasses import dataclass

from quantroof.analysis.choice import LayerChoice, whole_batches
from quantroof.analysis.points import Point
from quantroof.analysis.speed import speed_ups
from quantroof.analysis.statistics import Interval
from quantroof.analysis.winner import Winner, can_win, summed, winner


@dataclass(frozen=True, slots=True)
class LayerSum:
    """The layers of one scheme at one M: summed time, operations and bytes; `roof_ns` is the sum of their
    measured roofs, None where one of them has none. `speed_up` is over 16 bit."""

    scheme: str
    time: Interval
    flops: int
    bytes_moved: int
    roof_ns: float | None
    bound: str | None
    speed_up: Interval | None


@dataclass(frozen=True, slots=True)
class BatchSum:
    """One M that every layer has: the sum of each scheme timed on all layers, and which of them win."""

    m: int
    sums: dict[str, LayerSum]
    winner: Winner


def layer_sums(choices: list[LayerChoice]) -> list[BatchSum]:
    """Every whole M in rising order; nothing wins where the run may not be used."""
    usable = not any(choice.unusable for choice in choices)
    lead_by = max((choice.lead_by for choice in choices), default=0.0)
    ratios = dict(speed_ups(choices))
    batches = []
    for m, best in whole_batches(choices):
        own = ratios.get(m, {})
        sums = {name: _sum(name, points, own.get(name)) for name, points in best.items()}
        batches.append(BatchSum(m, sums, winner(best, lead_by) if usable else Winner(None)))
    return batches


def competing(batch: BatchSum) -> list[LayerSum]:
    """The sums that may win, the fastest first."""
    return sorted((s for s in batch.sums.values() if can_win(s.scheme)), key=lambda s: s.time.median)


def _sum(scheme: str, points: list[Point], speed_up: Interval | None) -> LayerSum:
    roofs = [point.roofs.roof_ns for point in points]
    longest = max(points, key=lambda point: point.roofs.roof_ns or 0.0)
    return LayerSum(
        scheme=scheme,
        time=summed(points),
        flops=sum(point.measurement.flops for point in points),
        bytes_moved=sum(point.measurement.bytes_moved for point in points),
        roof_ns=None if None in roofs else sum(roof for roof in roofs if roof is not None),
        bound=longest.roofs.bound,
        speed_up=speed_up,
    )
