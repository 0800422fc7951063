"""Verdicts: their names, the rule by which an interval gives one, and what they add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Literal, get_args

import msgspec

from quantroof.errors import ExitCode

GateVerdict = Literal["slower", "missing", "undecided", "incomparable", "waived", "faster", "new", "pass"]
VERDICTS: tuple[GateVerdict, ...] = get_args(GateVerdict)
"""Worst first: the order of every list."""
FAILING: tuple[GateVerdict, ...] = ("slower", "missing")
OPEN: tuple[GateVerdict, ...] = ("undecided", "incomparable")

Stage = Literal["screen", "A/B", "re-measured", "none"]


class CaseVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """One case with its verdict and why. Changes are relative (0.03 is 3 % slower) with their 95 % interval.

    `threshold` is what the policy calls a regression, `detectable` the smallest slowdown that is seen with
    80 % power. Times are the anchored ones. None where the case was not measured on that side.
    """

    case: str
    kernel: str
    verdict: GateVerdict
    reason: str
    stage: Stage = "none"
    change: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: float | None = None
    detectable: float | None = None
    base_ns: float | None = None
    now_ns: float | None = None


def counts(cases: Iterable[CaseVerdict]) -> dict[GateVerdict, int]:
    """How many cases have each verdict, worst first, without those that none has."""
    seen = Counter(case.verdict for case in cases)
    return {verdict: seen[verdict] for verdict in VERDICTS if seen[verdict]}


def exit_code(cases: Iterable[CaseVerdict], *, allow_undecided: bool) -> ExitCode:
    """0 pass, 1 a regression or a missing case, 4 nothing failed but something could not be decided."""
    seen = counts(cases)
    if any(verdict in seen for verdict in FAILING):
        return ExitCode.FINDING
    if not allow_undecided and any(verdict in seen for verdict in OPEN):
        return ExitCode.UNDECIDED
    return ExitCode.OK


def worst_first(cases: Iterable[CaseVerdict]) -> tuple[CaseVerdict, ...]:
    """By verdict, then by the size of the slowdown, then by name."""
    return tuple(
        sorted(cases, key=lambda x: (VERDICTS.index(x.verdict), -(x.change or 0.0), x.case, x.kernel))
    )
