"""Which run of a GPU is judged, which ones are its past, and which cannot be put in order."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime

from quantroof.fleet.collection import Unit

_UNKNOWN = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class GpuHistory:
    """Indices of units: the latest of every GPU, and by it the earlier ones of the same GPU and node."""

    latest: list[int] = field(default_factory=list)
    past: dict[int, list[int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def latest_and_past(units: list[Unit], now: datetime) -> GpuHistory:
    """Sort every GPU's runs by time. One UUID on two nodes is two GPUs, with a line that says so."""
    chosen = GpuHistory()
    by_gpu: dict[tuple[object, ...], list[int]] = defaultdict(list)
    nodes: dict[str, set[str]] = defaultdict(set)
    starts = [unit.started(now) for unit in units]
    for index, unit in enumerate(units):
        by_gpu[unit.identity, unit.node, unit.population].append(index)
        nodes[unit.identity].add(unit.node)
    for identity, where in nodes.items():
        if len(where) > 1:
            text = f"{identity} is reported by {len(where)} nodes ({', '.join(sorted(where))})"
            chosen.problems.append(f"{text}: judged as many GPUs")
    for gpu in by_gpu.values():
        gpu.sort(key=lambda i: starts[i] or _UNKNOWN)
        chosen.latest.append(gpu[-1])
        earlier = [i for i in gpu[:-1] if starts[i] is not None]
        if earlier:
            chosen.past[gpu[-1]] = earlier
    wrong = {units[i].node: units[i].started_at for i, start in enumerate(starts) if start is None}
    chosen.problems += [
        f"{node}: its clock says {text}: judged, but such runs are in no order in time"
        for node, text in sorted(wrong.items())
    ]
    return chosen
