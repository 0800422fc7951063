"""The order of a GPU's findings, and what is used for a lone GPU that has no siblings."""

from __future__ import annotations

from collections.abc import Iterable

from quantroof.analysis.verdicts import STATES, state_of
from quantroof.finding import Finding
from quantroof.fleet.scores import CLASSES

ALONE = "alone"
"""Code of the finding that nothing can be compared with a GPU."""
JUDGED_ALONE = "judged_alone"
"""Code of the note that its datasheet and its own counters speak for a GPU without siblings."""
_BY_POLICY = {"datasheet", *(f"{name}_{limit}" for name in CLASSES for limit in ("floor", "reference"))}
"""Codes of findings by a limit that the site sets; the others speak of a defect."""


def gravest_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in the order of their states, defects before limits of the site."""
    return tuple(sorted(findings, key=_gravity))


def vouched(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings without the one that nothing can be compared."""
    return tuple(finding for finding in findings if finding.code != ALONE)


def _gravity(finding: Finding) -> tuple[int, bool]:
    return STATES.index(state_of(finding.level)), finding.code in _BY_POLICY
