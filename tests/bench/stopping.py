"""How often the interval of a case holds its median after the stopping rule, in sequences of known medians.

`python -m tests.bench.stopping docs/measured/stopping.md` writes the page; nothing in it is measured.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.analysis.statistics import median_interval
from quantroof.bench.suite import StoppingLimits
from quantroof.bench.timing.sampling import StoppingRule

_REPEATS, _LONGEST, _NOISE, _STEP, _ODDS, _LASTS = 300, 1200, 0.004, 0.025, 0.35, 20
Sequence = Callable[[np.random.Generator], Array]
"""Log times whose median is 0."""

INTRODUCTION = """\
# The interval of a median after stopping

SIMULATED: no figure here was measured. `scripts/stopping_simulation.sh` makes this page. 300 sequences each
with noise of 0.4 %, stopped at a precision of 0.5 % by the shipped rule, which is asked after every sample or
after every eighth (a batch). `before` is the share of intervals that held the median by the rule until
November 2026, asked after every sample and every eighth (an independent simulation of such sequences).

| sequence | holds the median, 1 | 8 | before, 1 / 8 | samples, 1 | bias, 1 |
|---|---|---|---|---|---|
"""
BEFORE = {
    "independent": "89.3% / 94.2%",
    "AR(1) 0.6": "83.3% / 87.7%",
    "AR(1) 0.9": "63.7% / 77.2%",
    "AR(1) 0.6, 2 % outliers": "73.0% / 76.5%",
    "warm-up of 2 % over 40 samples": "0% / 0%",
    "two clocks that last 20 samples": "52.5% / 40.2%",
}
CLOSING = """
Two clock states that outlast the sampling cannot be in an interval of one process: what it did not see, it
cannot know. From three fresh processes on every interval is one of process medians.
"""


def _correlated(random: np.random.Generator, r: float) -> Array:
    noise = random.normal(0, 1, _LONGEST)
    values = np.empty(_LONGEST)
    values[0] = noise[0]
    for i in range(1, _LONGEST):
        values[i] = r * values[i - 1] + np.sqrt(1 - r * r) * noise[i]
    return _NOISE * values


def _outliers(random: np.random.Generator) -> Array:
    hit = random.random(_LONGEST) < 0.02
    return np.asarray(_correlated(random, 0.6) + hit * random.exponential(0.2, _LONGEST))


def _warming(random: np.random.Generator) -> Array:
    return np.asarray(_correlated(random, 0.0) - 0.02 * np.clip(1 - np.arange(_LONGEST) / 40, 0, 1))


def _clocks(random: np.random.Generator) -> Array:
    """Their own median depends on the odds: it is taken out from a long sequence of independent states."""
    redrawn = random.random(_LONGEST) < 1 / _LASTS
    redrawn[0] = True
    drawn = random.random(_LONGEST) < _ODDS
    states = drawn[np.maximum.accumulate(np.where(redrawn, np.arange(_LONGEST), 0))]
    far = np.random.default_rng(0)
    center = np.median(far.normal(0, _NOISE, 100_000) + _STEP * (far.random(100_000) < _ODDS))
    return np.asarray(_correlated(random, 0.0) + _STEP * states - center)


SEQUENCES: dict[str, Sequence] = {
    "independent": lambda random: _correlated(random, 0.0),
    "AR(1) 0.6": lambda random: _correlated(random, 0.6),
    "AR(1) 0.9": lambda random: _correlated(random, 0.9),
    "AR(1) 0.6, 2 % outliers": _outliers,
    "warm-up of 2 % over 40 samples": _warming,
    "two clocks that last 20 samples": _clocks,
}


def stopped(sequence: Sequence, batch: int, seed: int, repeats: int = _REPEATS) -> tuple[float, int, float]:
    """The share of intervals that hold the median, the median number of samples, and the bias."""
    limits = StoppingLimits()
    rule = StoppingRule(0.005, limits.min_samples, _LONGEST, 1.0)
    random, held = np.random.default_rng(seed), 0
    counts, biases = [], []
    for _ in range(repeats):
        values = list(map(float, 100 * np.exp(sequence(random))))
        count = batch
        while rule.stopped_by(values[:count], 0.0, batch) is None:
            count += batch
        interval = median_interval(values[:count])
        held += interval.low <= 100 <= interval.high
        counts.append(count)
        biases.append(interval.median / 100 - 1)
    return held / repeats, int(np.median(counts)), float(np.mean(biases))


def main() -> None:
    """Write the page to the file that is named."""
    lines = []
    for seed, (name, sequence) in enumerate(SEQUENCES.items()):
        (one, count, bias), (eight, _, _) = (stopped(sequence, batch, 100 + seed) for batch in (1, 8))
        lines.append(f"| {name} | {one:.1%} | {eight:.1%} | {BEFORE[name]} | {count} | {bias:+.2%} |")
    Path(sys.argv[1]).write_text(INTRODUCTION + "\n".join(lines) + "\n" + CLOSING, encoding="utf-8")


if __name__ == "__main__":
    main()
