"""Grades of a GPU: the words of the fleet for the levels of its findings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from quantroof.finding import Finding
from quantroof.fleet.scores import CLASSES

Grade = Literal["failed", "defective", "below policy", "not judged", "note"]
GRADES: tuple[Grade, ...] = ("failed", "defective", "below policy", "not judged", "note")
"""The gravest first. A `note` is information only and never changes a verdict."""

_BELOW_POLICY = {"datasheet", *(f"{name}_{limit}" for name in CLASSES for limit in ("floor", "reference"))}
"""Codes of findings by a limit that the site sets; other degraded GPUs are defective."""


def grade(finding: Finding) -> Grade:
    """The grade that a finding gives a GPU."""
    if finding.level == "failed":
        return "failed"
    if finding.level == "unknown":
        return "not judged"
    if finding.level == "degraded":
        return "below policy" if finding.code in _BELOW_POLICY else "defective"
    return "note"


def gravest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order of GRADES."""
    return tuple(sorted(findings, key=lambda finding: GRADES.index(grade(finding))))
