"""The words that every surface uses for a fleet: speeds, states and reasons."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from quantroof.units import NONE, change

if TYPE_CHECKING:
    from quantroof.analysis.verdicts import State, Verdict
    from quantroof.finding import Finding


def speed(level: float | None) -> str:
    """A log ratio of times as a signed change of speed: `-5.0 %` is slower."""
    return NONE if level is None else change(math.exp(-level))


def relative(level: float | None) -> float | None:
    """The same as a number for programs: -0.05 is 5 % slower."""
    return None if level is None else math.expm1(-level)


def slowest(levels: Iterable[float | None]) -> float | None:
    """The worst of several levels, None if all are unknown."""
    return max((level for level in levels if level is not None), default=None)


def reasons(findings: Iterable[Finding]) -> str:
    """Why a GPU has its state."""
    return "; ".join(finding.text for finding in findings)


def states(gpus: Iterable[State]) -> str:
    """How many GPUs are in each state, the most frequent first: `30 ok, 2 degraded`."""
    return ", ".join(f"{number} {state}" for state, number in Counter(gpus).most_common())


def verdict_words(verdict: Verdict) -> str:
    """`degraded: why`, and `ok (why)` where a device is judged by itself."""
    if verdict.state == "ok" or verdict.reason is None:
        return verdict.words
    return f"{verdict.state}: {verdict.reason}"


def finding_document(finding: Finding) -> dict[str, str]:
    """A finding for programs."""
    return {"level": finding.level, "code": finding.code, "text": finding.text}


def plural(number: int, noun: str) -> str:
    """`1 GPU`, `2 GPUs`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
