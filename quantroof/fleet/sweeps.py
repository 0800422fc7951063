"""How fast a GPU was in each sweep: every run of it beside the siblings of the latest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from quantroof.analysis.distributions import Array
from quantroof.fleet.collection import Collection, Times, matrix
from quantroof.fleet.evidence import Evidence
from quantroof.fleet.findings import by_class
from quantroof.fleet.scores import class_levels

_AT_ONCE = 64
"""GPUs whose runs are taken together: all at once would need gigabytes for a year of a large fleet."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """One run of a GPU: when it began, and its log time per class relative to the siblings' median of the
    latest sweep, or to its own latest run where it has no siblings."""

    started_at: str
    level: dict[str, float | None]


def sweeps(
    evidence: Evidence, rows: Sequence[int], earlier: Sequence[Sequence[int]], timed: tuple[Collection, Times]
) -> list[tuple[Sweep, ...]]:
    """The runs of some GPUs of the evidence by time, the judged one last; `earlier` are, for each of `rows`,
    the indices of its units in the collection."""
    found: list[tuple[Sweep, ...]] = []
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        past = _log_times(evidence, [unit for units in earlier[part] for unit in units], timed[1])
        for row, units in zip(rows[part], earlier[part], strict=True):
            own, past = past[: len(units)], past[len(units) :]
            started = [timed[0].units[unit].started_at for unit in units]
            found.append(_sweeps(evidence, row, own, started))
    return found


def _log_times(evidence: Evidence, units: list[int], times: Times) -> Array:
    """Log times [units, works] on the works of the evidence, NaN where absent."""
    log_ns = np.full((len(units), len(evidence.times.works)), np.nan)
    if units:
        columns, table = matrix(times, units)
        _, here, there = np.intersect1d(evidence.times.columns, columns, return_indices=True)
        log_ns[:, here] = table[:, there]
    return log_ns


def _sweeps(evidence: Evidence, row: int, past: Array, started: list[str]) -> tuple[Sweep, ...]:
    gpus, siblings = evidence.times, evidence.siblings
    log_ns = np.vstack([past, gpus.log_ns[row]])
    center, middle = (siblings.center, siblings.middle) if evidence.compared else (log_ns[-1], 0.0)
    levels = class_levels(log_ns - center, gpus.class_weights) - middle
    when = [*started, gpus.units[row].started_at]
    return tuple(Sweep(at, by_class(level)) for at, level in zip(when, levels, strict=True))
