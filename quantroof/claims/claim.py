"""A claim about hardware, formats or accuracy, as a sentence and in terms that can be checked.

Every kind of claim is a struct with the terms that this kind needs and a method that judges it. The kinds are
in `hardware`, `serving`, `accuracy`, `speed` and `recorded`.
"""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec

from quantroof.analysis.choice import LayerChoice
from quantroof.analysis.device_results import DeviceResults
from quantroof.records.quality import QualityStudy

ClaimOutcome = Literal["holds", "wrong", "cannot tell here"]
TOLERANCE = 0.01
Count = Annotated[int, msgspec.Meta(ge=1)]


@dataclass(frozen=True)
class Evidence:
    """What claims are judged by, besides the shipped catalogs: measured rates, a study and timed devices.

    `rates` are operations per second by profile and element.
    """

    rates: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    study: QualityStudy | None = None
    timed: Sequence[tuple[DeviceResults, list[LayerChoice]]] = ()


class ClaimResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of a claim, its evidence in sentences, and the command that decides it."""

    claim: Claim
    outcome: ClaimOutcome
    evidence: tuple[str, ...]
    command: str | None = None


class _AbstractStruct(msgspec.StructMeta, ABCMeta):
    """The metaclass of structs with abstract methods."""


class Claim(
    msgspec.Struct,
    metaclass=_AbstractStruct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag_field="kind",
):
    """One statement. `row` is the line of the checklist that it belongs to."""

    id: str
    text: str
    row: str | None = None

    @abstractmethod
    def judge(self, evidence: Evidence) -> ClaimResult:
        """Hold the claim against the evidence."""

    def decided(self, holds: bool, *evidence: str, command: str | None = None) -> ClaimResult:
        """The result of a claim that is right or wrong."""
        outcome: ClaimOutcome = "holds" if holds else "wrong"
        return ClaimResult(claim=self, outcome=outcome, evidence=evidence, command=command)

    def undecided(self, *evidence: str, command: str | None = None) -> ClaimResult:
        """The result of a claim that nothing here can decide; the evidence says why."""
        return ClaimResult(claim=self, outcome="cannot tell here", evidence=evidence, command=command)


class NumberClaim(Claim, frozen=True, kw_only=True):
    """A claim that states a number. `tolerance` is relative."""

    value: float
    tolerance: float = TOLERANCE

    def near(self, right: float, text: str) -> ClaimResult:
        """Whether the claim's number is within its tolerance of the right one."""
        return self.decided(is_near(self.value, right, self.tolerance), text)


def is_near(value: float, right: float, tolerance: float) -> bool:
    """Whether a number is within a relative tolerance of the right one."""
    return abs(value / right - 1) <= tolerance
