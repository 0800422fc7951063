"""How much faster than 16 bit a format is over all layers of a device, with its interval."""

from __future__ import annotations

from quantroof.analysis.choice import LayerChoice, whole_batches
from quantroof.analysis.ratio import ratio_interval
from quantroof.analysis.statistics import Interval
from quantroof.analysis.winner import may_win, summed

SIXTEEN_BIT = ("bf16", "fp16")


def baseline(choices: list[LayerChoice]) -> str | None:
    """The 16-bit format that speed-ups are over: bf16, or fp16 where that alone was timed."""
    seen = {name for choice in choices for name in choice.schemes}
    return next((name for name in SIXTEEN_BIT if name in seen), None)


def speed_ups(choices: list[LayerChoice]) -> list[tuple[int, dict[str, Interval]]]:
    """Per M, the 16-bit time over a scheme's, both summed over all layers.

    Empty without a 16-bit format, and where the run may not be used or its bandwidth changed; an impossible
    time has no speed-up.
    """
    base = baseline(choices)
    if base is None or any(choice.unusable or choice.lead_by for choice in choices):
        return []
    batches = []
    for m, best in whole_batches(choices):
        times = {name: summed(points) for name, points in best.items() if all(map(may_win, points))}
        if base not in times:
            continue
        ratios = {name: ratio_interval(time, times[base]) for name, time in times.items()}
        ratios[base] = Interval(1.0, 1.0, 1.0, times[base].samples)  # over itself, exactly
        batches.append((m, ratios))
    return batches
