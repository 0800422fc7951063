"""Compare a GPU with its own past: which run is judged, which earlier ones count, and what changed since."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from quantroof.analysis.distributions import MAX_FREEDOM, Array, t_tail
from quantroof.analysis.spread import PRIOR_FREEDOM, moderated_spread
from quantroof.fleet.collection import Unit
from quantroof.fleet.policy import REPEAT_SPREAD, Policy
from quantroof.fleet.scores import (
    Mask,
    class_levels,
    discovered,
    nanmedian,
)

_CENTER_FROM = 8
"""GPUs with a past from which on the fleet's own median change is subtracted."""
_NO_CLOCK = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class GpuHistory:
    """Indices of units: the latest of every GPU, and by it the earlier ones of the same GPU and node."""

    latest: list[int] = field(default_factory=list)
    past: dict[int, list[int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def latest_and_past(units: list[Unit], now: datetime) -> GpuHistory:
    """Sort the runs of every GPU by time. One UUID on two nodes is two GPUs, and is reported."""
    history = GpuHistory()
    by_gpu: dict[tuple[object, ...], list[int]] = defaultdict(list)
    nodes: dict[str, set[str]] = defaultdict(set)
    starts = [unit.started(now) for unit in units]
    for index, unit in enumerate(units):
        by_gpu[unit.identity, unit.node, unit.population.uncapped].append(index)
        nodes[unit.identity].add(unit.node)
    for identity, names in nodes.items():
        if len(names) > 1:
            text = f"{identity} is reported by {len(names)} nodes ({', '.join(sorted(names))})"
            history.problems.append(f"{text}: judged as many GPUs")
    for gpu in by_gpu.values():
        gpu.sort(key=lambda i: starts[i] or _NO_CLOCK)
        history.latest.append(gpu[-1])
        kind = units[gpu[-1]].population
        earlier = [i for i in gpu[:-1] if starts[i] is not None and units[i].population == kind]
        if earlier:
            history.past[gpu[-1]] = earlier
    wrong = {units[i].node: units[i].started_at for i, start in enumerate(starts) if start is None}
    history.problems += [
        f"{node}: its clock says {text}: judged, but such runs are not part of any past"
        for node, text in sorted(wrong.items())
    ]
    return history


def change_from_past(log_ns: Array, past: Array, class_weights: Array, policy: Policy) -> tuple[Array, Mask]:
    """Log change [gpus, classes] of each GPU from its own past, and where it became slower beyond chance.

    `past` [gpus, cases] is the median of earlier runs, NaN where there was none. A change that most GPUs
    share (a driver, the season) is subtracted where enough of them have a past.
    """
    difference = log_ns - past
    gpus = int((~np.isnan(difference)).any(axis=1).sum())
    if gpus >= _CENTER_FROM:
        difference = difference - nanmedian(difference, 0)
    level = class_levels(difference, class_weights)
    freedom = min(PRIOR_FREEDOM + max(gpus, 1) - 1, MAX_FREEDOM)
    spread = np.array([moderated_spread(column[~np.isnan(column)], REPEAT_SPREAD) for column in level.T])
    p = np.where(np.isnan(level), np.nan, t_tail(level / spread, freedom))
    return level, discovered(p, policy.false_discovery_rate) & _slower(level, policy)


def slower_on_retest(log_ns: Array, past: Array, class_weights: Array, policy: Policy) -> Mask:
    """[gpus, classes]: where a second measurement is slower than the past again, by the least effect."""
    level, _ = change_from_past(log_ns, past, class_weights, policy)
    return _slower(level, policy)


def _slower(level: Array, policy: Policy) -> Mask:
    return np.asarray(np.nan_to_num(level, nan=-np.inf) > policy.log_effect)
