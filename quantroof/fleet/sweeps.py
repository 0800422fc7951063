"""How fast a GPU was in each sweep: every run of it beside the siblings of the latest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantroof.fleet.collection import Collection, Times, matrix
from quantroof.fleet.evidence import Evidence
from quantroof.fleet.findings import by_class
from quantroof.fleet.scores import class_levels


@dataclass(frozen=True, slots=True)
class Sweep:
    """One run of a GPU: when it began, and its log time per class relative to the siblings' median of the
    latest sweep, or to its own latest run where it has no siblings."""

    started_at: str
    level: dict[str, float | None]


def sweeps(
    evidence: Evidence, row: int, earlier: Sequence[int], collection: Collection, times: Times
) -> tuple[Sweep, ...]:
    """The runs of one GPU of the evidence by time, the judged one last; `earlier` are indices of units."""
    gpus, siblings = evidence.times, evidence.siblings
    log_ns = np.full((len(earlier) + 1, len(gpus.works)), np.nan)
    log_ns[-1] = gpus.log_ns[row]
    if earlier:
        columns, table = matrix(times, list(earlier))
        _, here, there = np.intersect1d(gpus.columns, columns, return_indices=True)
        log_ns[:-1, here] = table[:, there]
    center, middle = (siblings.center, siblings.middle) if evidence.compared else (log_ns[-1], 0.0)
    levels = class_levels(log_ns - center, gpus.class_weights) - middle
    started = [*(collection.units[index].started_at for index in earlier), gpus.units[row].started_at]
    return tuple(Sweep(at, by_class(level)) for at, level in zip(started, levels, strict=True))
