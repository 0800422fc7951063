"""Mixed precision: a format per part of a model under a budget, from a sensitivity scan. Imports no torch.

Losses of parts are taken to add up. They do so only roughly, which is why a suggestion is measured before it
is shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import correlation, fmean

from quantroof.analysis import studies
from quantroof.analysis.paired import MIN_WINDOWS
from quantroof.errors import UsageError
from quantroof.records.quality import QualityStudy

KEPT_BITS = 16.0


@dataclass(frozen=True, slots=True)
class Choice:
    """A way to store one part: format (None keeps 16 bits), bits per weight, and the loss it costs alone."""

    format: str | None
    bits: float
    loss: float


@dataclass(frozen=True, slots=True)
class Mixture:
    """A format per part (those kept in 16 bits are absent), its mean bits, and the sum of their losses."""

    formats: dict[str, str]
    bits: float
    predicted_loss: float


def suggest(choices: Mapping[str, Sequence[Choice]], elements: Mapping[str, int], budget: float) -> Mixture:
    """Start every part at its fewest bits; buy the most loss for the fewest bits until the budget is spent.

    Greedy: exact where a bit buys ever less loss, close to it elsewhere. UsageError if even the fewest
    bits are above the budget.
    """
    total = sum(elements.values())
    current = {part: min(options, key=lambda c: c.bits) for part, options in choices.items()}
    spent = sum(current[part].bits * elements[part] for part in current)
    if spent > budget * total:
        least = spent / total
        raise UsageError(f"a budget of {budget:g} bits is below the fewest possible, {least:.2f}")
    while True:
        best: tuple[float, str, Choice] | None = None
        for part, options in choices.items():
            for option in options:
                price = (option.bits - current[part].bits) * elements[part]
                gain = current[part].loss - option.loss
                if price > 0 and gain > 0 and spent + price <= budget * total:
                    best = max(best or (0.0, "", option), (gain / price, part, option), key=lambda b: b[0])
        if best is None:
            break
        _, part, option = best
        spent += (option.bits - current[part].bits) * elements[part]
        current[part] = option
    formats = {part: c.format for part, c in current.items() if c.format is not None}
    return Mixture(formats, spent / total, sum(c.loss for c in current.values()))


def choices_from(study: QualityStudy, bits: Mapping[tuple[str, str], float]) -> dict[str, list[Choice]]:
    """What a scan measured, per part, with 16 bits at no loss; only a loss beyond its interval counts."""
    choices: dict[str, list[Choice]] = {}
    for result in study.results:
        difference = studies.difference(study, result)
        if result.part is None or difference is None:
            continue
        options = choices.setdefault(result.part, [Choice(None, KEPT_BITS, 0.0)])
        loss = difference.mean if difference.verdict == "worse" else 0.0
        options.append(Choice(result.method, bits[result.part, result.method], loss))
    return choices


def rank_stability(study: QualityStudy, method: str) -> float | None:
    """Rank correlation of parts' losses between the even and the odd windows; None for too few of either.

    Near 1 the ranking is the model's; near 0 it is noise of the text, and more text is needed.
    """
    parts = [r for r in study.results if r.method == method and r.part is not None and r.window_losses]
    if len(parts) < 3 or len(parts[0].window_losses) < 2 * MIN_WINDOWS:
        return None
    return correlation(*(_ranks([fmean(r.window_losses[half::2]) for r in parts]) for half in (0, 1)))


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    for rank, index in enumerate(order):
        ranks[index] = float(rank)
    return ranks
