"""Samples as histograms: before and after on one scale for changed cases, and a small one per measurement."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from quantroof.analysis.answers import Answers
from quantroof.analysis.comparison import CaseChange
from quantroof.records.directory import Run

BINS = 24
SHAPE_BINS = 12
MOST = 200
"""Cases that get histograms; the list has the worst first."""
_SHOWN = ("slower", "faster", "undecided")

Key = tuple[str, str, str]


def distributions(answers: Answers) -> dict[int, list[Any]]:
    """By the identity of an entry: lowest and highest ns, counts before, counts after."""
    comparison, baseline = answers.comparison, answers.baseline
    if comparison is None or comparison.blocked is not None or baseline is None:
        return {}
    changed = [entry for entry in comparison.entries if entry.verdict in _SHOWN and entry.ratio][:MOST]
    keys = {_key(entry) for entry in changed}
    before, after = _samples(baseline, keys), _samples(answers.runs[0], keys)
    return {id(entry): histogram_pair(before[_key(entry)], after[_key(entry)]) for entry in changed}


def histogram_pair(before: Sequence[float], after: Sequence[float]) -> list[Any]:
    """Counts of both in bins of equal width over the range of all samples."""
    every = [*before, *after]
    low, high = min(every), max(every)
    step = (high - low) / BINS or 1.0
    return [float(f"{low:.5g}"), float(f"{high:.5g}"), *(_counts(one, low, step) for one in (before, after))]


def shape(samples: Sequence[float]) -> str | None:
    """The histogram of one measurement as digits: 9 is the fullest of SHAPE_BINS bins from its fastest to its
    slowest sample, 0 an empty one; None where all samples are equal or there are none.
    """
    if not samples or min(samples) == max(samples):
        return None
    low = min(samples)
    counts = _counts(samples, low, (max(samples) - low) / SHAPE_BINS, SHAPE_BINS)
    return "".join(str(math.ceil(9 * count / max(counts))) for count in counts)


def _counts(values: Iterable[float], low: float, step: float, bins: int = BINS) -> list[int]:
    counts = Counter(min(bins - 1, int((value - low) / step)) for value in values)
    return [counts[i] for i in range(bins)]


def _samples(run: Run, keys: set[Key]) -> dict[Key, list[float]]:
    """All samples of the wanted cases, over all processes."""
    samples: dict[Key, list[float]] = defaultdict(list)
    for line in run.measurements:
        if line.timing is not None and line.key in keys:
            samples[line.key].extend(line.timing.samples_ns)
    return samples


def _key(entry: CaseChange) -> Key:
    return entry.device, entry.case, entry.kernel
