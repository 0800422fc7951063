"""The claims page: rows with their verdicts; claims of a row that say the same share a line."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.claims.checklist import Row, Section, Timed, judge, sections, shipped
from quantroof.claims.model import Judgement
from quantroof.records.quality import QualityStudy

# Cells of a matrix that hold are one line; a wrong one is worth its evidence.
_FEW = 3


@dataclass(frozen=True, slots=True)
class Line:
    """One claim with its evidence, or several that hold for like reasons; `command` where it is its own."""

    words: str
    texts: tuple[str, ...]
    evidence: tuple[str, ...]
    command: str | None


def claims_page(timed: Timed, study: QualityStudy | None) -> list[Section]:
    """The shipped list judged by what the report was given."""
    read = shipped()
    return sections(judge(read.claims, timed, study), read.sections)


def count(found: Sequence[Section]) -> str:
    """How many rows have each verdict, in words."""
    seen = Counter(row.verdict for section in found for row in section.rows)
    return ", ".join(f"{seen[verdict]} {verdict}" for verdict in ("holds", "in part", "wrong", "open")) + "."


def grouped(row: Row) -> list[Line]:
    """The claims of a row as lines: like cells that hold together, each other one by itself."""
    holding = [j for j in row.judgements if j.claim.kind == "support" and j.outcome == "holds"]
    together = holding if len(holding) > _FEW else []
    lines = [_line(j) for j in row.judgements if j not in together]
    if together:
        texts = tuple(j.claim.text for j in together)
        evidence = (f"{len(together)} cells, each by catalog and machine code",)
        lines.append(Line("holds", texts, evidence, None))
    return lines


def _line(judgement: Judgement) -> Line:
    outcome = "open" if judgement.outcome == "cannot tell here" else judgement.outcome
    return Line(
        outcome, (judgement.claim.text,), judgement.evidence, judgement.command or judgement.claim.command
    )
