"""Claims that no evaluator judges: a document settles them, or they stay open until something is measured."""

from __future__ import annotations

from typing import Literal

from quantroof.claims.claim import Claim, ClaimOutcome, ClaimResult, Evidence


class Documented(Claim, frozen=True, kw_only=True, tag="documented"):
    """Settled by a document, not by this machine: `source` names the document, `reason` what it says."""

    outcome: ClaimOutcome
    reason: str
    source: str
    command: str | None = None

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """The recorded outcome."""
        evidence = (self.reason, f"by document: {self.source}")
        return ClaimResult(claim=self, outcome=self.outcome, evidence=evidence, command=self.command)


class Open(Claim, frozen=True, kw_only=True, tag="open"):
    """Not decidable here: `needs` says what it would take."""

    needs: Literal["a GPU", "the model", "a source", "the lost text"]
    reason: str = "not measured here"
    command: str | None = None

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """Undecided, with what it needs."""
        return self.undecided(f"needs {self.needs}: {self.reason}", command=self.command)


RecordedClaim = Documented | Open
