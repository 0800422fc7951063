"""Speed against accuracy loss: every format at a batch, and those that no other format beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from quantroof.analysis.choice import LayerChoice
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.speed import baseline, speed_ups
from quantroof.analysis.statistics import Interval
from quantroof.analysis.studies import Loss, by_scheme, figure, losses, name_of, variants
from quantroof.analysis.winner import can_win
from quantroof.records.quality import BASELINE, QualityStudy

FORMAT_ERROR = "format error"


@dataclass(frozen=True, slots=True)
class Cost:
    """What a format costs: a value with its interval, lower is better. `method` made the model."""

    label: str
    value: float
    low: float
    high: float
    words: str
    method: str | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One kind of cost for all formats of a device: by scheme, the methods that run on its kernels.

    `name` is short, `of` says what it was measured on.
    """

    name: str
    of: str
    axis: str
    logarithmic: bool
    costs: dict[str, list[Cost]]


@dataclass(frozen=True, slots=True)
class Tradeoff:
    """A format at one batch. `behind` names one that is better in one beyond the noise, and no worse in the
    other by its median.
    """

    scheme: str
    cost: Cost
    speed: Interval
    behind: str | None


def views(results: DeviceResults, choices: list[LayerChoice], studies: Sequence[QualityStudy]) -> list[View]:
    """Losses of each study and variant, then the format error that the run itself measured."""
    base = baseline(choices)
    kinds = []
    for study in studies:
        for variant in variants(study):
            measured = by_scheme(losses(study, variant))
            costs = {scheme: [_cost(scheme, loss, own) for loss in own] for scheme, own in measured.items()}
            if base is not None and any(r.method == BASELINE and r.window_losses for r in study.results):
                costs[base] = [Cost("unquantized", 0.0, 0.0, 0.0, "the others are over it")]
            kinds.append(
                View(f"loss, {variant}", name_of(study), "nats per token over unquantized", False, costs)
            )
    if errors := format_errors(results):
        costs = {name: [Cost(name, value, value, value, "measured here")] for name, value in errors.items()}
        axis = "relative error of a product"
        kinds.append(View(FORMAT_ERROR, "random data, measured here", axis, True, costs))
    return kinds


def format_errors(results: DeviceResults) -> dict[str, float]:
    """Median error that a scheme's formats brought to the run's products, where it is not zero."""
    return _by_scheme(results, "format_frobenius", median)


def kernel_errors(results: DeviceResults) -> dict[str, float]:
    """Largest error of a scheme's kernels against fp64 of the same values."""
    return _by_scheme(results, "frobenius", max)


def tradeoffs(choices: list[LayerChoice], view: View) -> list[tuple[int, list[Tradeoff]]]:
    """Every batch with its formats, the fastest first; empty if no 16-bit format was timed."""
    batches = []
    for m, speeds in speed_ups(choices):
        pairs = [(name, cost) for name in speeds for cost in view.costs.get(name, ())]
        rows = [
            Tradeoff(name, cost, speeds[name], _behind(speeds[name], cost, pairs, speeds))
            for name, cost in pairs
        ]
        batches.append((m, sorted(rows, key=lambda row: (-row.speed.median, row.cost.value))))
    return batches


def _behind(
    speed: Interval, cost: Cost, pairs: list[tuple[str, Cost]], speeds: dict[str, Interval]
) -> str | None:
    """The quickest format, then the cheapest, that can win and leaves this one behind."""
    better = []
    for name, other in pairs:
        rival = speeds[name]
        quicker = rival.low > speed.high and other.value <= cost.value
        cheaper = other.high < cost.low and rival.median >= speed.median
        if can_win(name) and (quicker or cheaper):
            better.append((rival.median, -other.value, other.label))
    return max(better)[2] if better else None


def _cost(scheme: str, loss: Loss, beside: list[Loss]) -> Cost:
    """A loss as a cost, named by its method where the scheme has several."""
    difference = loss.difference
    assert difference is not None
    label = scheme if len(beside) == 1 else f"{scheme} ({loss.result.method})"
    words = f"{figure(difference)}, {difference.verdict}"
    return Cost(label, difference.mean, difference.low, difference.high, words, loss.result.method)


def _by_scheme(results: DeviceResults, name: str, statistic: Any) -> dict[str, float]:
    values: dict[str, list[float]] = {}
    for point in results.points:
        accuracy = point.measurement.accuracy
        value = getattr(accuracy, name) if accuracy else None
        if value is not None and value > 0:
            values.setdefault(point.scheme, []).append(value)
    return {scheme: float(statistic(own)) for scheme, own in values.items()}
