"""The verdicts of the gate: their names, and the exit code of a check."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec

from quantroof.analysis.verdicts import Change
from quantroof.errors import ExitCode

GateVerdict = Change | Literal["waived"]
"""The scale of changes, and `waived`: a policy lets a case be slower."""
VERDICTS: tuple[GateVerdict, ...] = (
    "slower", "missing", "undecided", "not comparable", "waived", "faster", "new", "same",
)  # fmt: skip
"""Worst first, which is the order of every list."""
FAILING: tuple[GateVerdict, ...] = ("slower", "missing")
OPEN: tuple[GateVerdict, ...] = ("undecided", "not comparable")

Stage = Literal["screen", "A/B", "re-measured", "none"]


class CaseVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One case with its verdict and why. Changes are relative (0.03 is 3 % slower) with their 95 % interval.

    `threshold` is the change that the policy calls a regression, `detectable` the smallest slowdown that is
    found with 90 % power. Times are anchored. None if the case was not measured on that side.
    `first_change` is the change in the run itself, where a second measurement replaced it.
    """

    case: str
    kernel: str
    verdict: GateVerdict
    reason: str
    stage: Stage = "none"
    change: float | None = None
    low: float | None = None
    high: float | None = None
    first_change: float | None = None
    threshold: float | None = None
    detectable: float | None = None
    base_ns: float | None = None
    now_ns: float | None = None


def counts(cases: Iterable[CaseVerdict]) -> dict[GateVerdict, int]:
    """The number of cases with each verdict that occurs, worst first."""
    numbers = Counter(case.verdict for case in cases)
    return {verdict: numbers[verdict] for verdict in VERDICTS if numbers[verdict]}


def exit_code(cases: Iterable[CaseVerdict], *, allow_undecided: bool) -> ExitCode:
    """0: pass. 1: a regression or a missing case. 4: nothing failed, but some case is undecided."""
    numbers = counts(cases)
    if any(verdict in numbers for verdict in FAILING):
        return ExitCode.FINDING
    if not allow_undecided and any(verdict in numbers for verdict in OPEN):
        return ExitCode.UNDECIDED
    return ExitCode.OK


def worst_first(cases: Iterable[CaseVerdict]) -> tuple[CaseVerdict, ...]:
    """By verdict, then by the size of the slowdown, then by name."""
    return tuple(
        sorted(cases, key=lambda x: (VERDICTS.index(x.verdict), -(x.change or 0.0), x.case, x.kernel))
    )
