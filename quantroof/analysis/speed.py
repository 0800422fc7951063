"""How much faster than 16 bit a format is over all layers of a device, with its interval."""

from __future__ import annotations

from quantroof.analysis.choice import LayerChoice, whole_batches
from quantroof.analysis.ratio import ratio_interval
from quantroof.analysis.statistics import Interval
from quantroof.analysis.winner import summed

SIXTEEN_BIT = ("bf16", "fp16")


def baseline(choices: list[LayerChoice]) -> str | None:
    """The 16-bit format that speed-ups are over: bf16, or fp16 where that alone was timed."""
    seen = {name for choice in choices for name in choice.schemes}
    return next((name for name in SIXTEEN_BIT if name in seen), None)


def speed_ups(choices: list[LayerChoice]) -> list[tuple[int, dict[str, Interval]]]:
    """Per M, the 16-bit time over a scheme's, both summed over all layers; empty without a 16-bit format."""
    base = baseline(choices)
    batches = []
    for m, best in whole_batches(choices):
        if base is None or base not in best:
            continue
        times = {name: summed(points) for name, points in best.items()}
        ratios = {name: ratio_interval(time, times[base]) for name, time in times.items()}
        ratios[base] = Interval(1.0, 1.0, 1.0, times[base].samples)  # over itself, exactly
        batches.append((m, ratios))
    return batches
