"""The answers about a fleet as values: which GPUs are bad, which node comes first, whether groups differ."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quantroof.analysis.verdicts import State, Tone, gravest, tone
from quantroof.fleet.analysis import Analysis, GpuResult
from quantroof.fleet.groups import GroupRow


@dataclass(frozen=True, slots=True)
class GpuAnswer:
    """Which GPUs are bad? `unknown` counts the unknown ones; `reason` is why, where it is all."""

    state: State
    tone: Tone
    bad: list[GpuResult]
    unknown: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """Which node first? The nodes with a bad GPU, the worst first."""

    tone: Tone
    bad: list[tuple[str, list[GpuResult]]]


@dataclass(frozen=True, slots=True)
class GroupAnswer:
    """Do groups differ? `compared` is False where no attribute has two groups of enough nodes."""

    tone: Tone
    compared: bool
    differing: list[GroupRow]


def gpu_states(results: Iterable[GpuResult]) -> list[State]:
    """The state of every GPU: the gravest over its kinds of runs. One UUID on two nodes is two GPUs."""
    states: dict[tuple[str, str], list[State]] = defaultdict(list)
    for gpu in results:
        states[gpu.unit.node, gpu.unit.identity].append(gpu.state)
    return [gravest(own) for own in states.values()]


def bad_of(results: Iterable[GpuResult]) -> tuple[int, int]:
    """How many GPUs are bad, and how many there are."""
    states = gpu_states(results)
    return sum(state in ("failed", "degraded") for state in states), len(states)


def gpu_answer(analysis: Analysis) -> GpuAnswer:
    """A fleet is as bad as its worst GPU; `unknown` is worse than `ok`, as in a burn-in."""
    unknown = sum(gpu.state == "unknown" for gpu in analysis.gpus)
    state = gravest(gpu.state for gpu in analysis.gpus)
    if analysis.bad:
        return GpuAnswer(state, tone(state), analysis.bad, unknown)
    texts = [finding.text for gpu in analysis.gpus for finding in gpu.findings if gpu.state == state]
    reason = next(iter(texts), None) if state == "unknown" or len(analysis.gpus) == 1 else None
    return GpuAnswer(state, tone(state), [], unknown, reason)


def node_answer(analysis: Analysis, silent: Sequence[str]) -> NodeAnswer:
    """A node is as bad as its worst GPU; nodes without a run leave it unsure."""
    bad = [(name, gpus) for name, gpus in analysis.nodes() if gpus[0].bad]
    return NodeAnswer("bad" if bad else "unsure" if silent else "good", bad)


def group_answer(analysis: Analysis) -> GroupAnswer:
    """A group that differs is a hint at a cause and not a fault: the answer is unsure."""
    differing = [row for row in analysis.groups if row.differs]
    tone: Tone = "unsure" if differing else "good" if analysis.groups else "none"
    return GroupAnswer(tone, bool(analysis.groups), differing)


def below_floor(gpus: Sequence[GpuResult], name: str, floor: float) -> int:
    """How many GPUs are below the floor of a class, a share of the siblings' median speed."""
    levels = [gpu.level[name] for gpu in gpus]
    return sum(level is not None and math.exp(-level) < floor for level in levels)
