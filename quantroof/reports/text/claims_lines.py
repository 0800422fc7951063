"""Claims in the terminal: verdict, words, evidence and what repeats them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.claims.checklist import command_for
from quantroof.reports.text.table import literal

if TYPE_CHECKING:
    from rich.text import Text

    from quantroof.claims.model import Judgement

_STYLES = {"holds": "green", "wrong": "red", "cannot tell here": "yellow"}
_INDENT = " " * 18


def tally(judged: Sequence[Judgement]) -> dict[str, int]:
    """How many claims have each outcome."""
    counts = Counter(j.outcome for j in judged)
    return {"holds": counts["holds"], "wrong": counts["wrong"], "cannot_tell": counts["cannot tell here"]}


def document(judged: Sequence[Judgement]) -> dict[str, Any]:
    """The JSON of judgements, with what repeats each of them."""
    rows = [{**msgspec.to_builtins(j), "command": command_for(j)} for j in judged]
    return {"judgements": rows, **tally(judged)}


def judgement_lines(judged: Sequence[Judgement]) -> Iterator[Text]:
    """Every claim with its outcome and evidence."""
    for judgement in judged:
        row = f"{judgement.claim.row}: " if judgement.claim.row else ""
        outcome = literal(f"{judgement.outcome:16}", style=_STYLES[judgement.outcome])
        yield outcome.append(literal(f"  {row}{judgement.claim.text}"))
        yield from (literal(_INDENT + evidence) for evidence in judgement.evidence)
        if judgement.outcome == "cannot tell here":
            yield literal(f"{_INDENT}decided by: {command_for(judgement)}")
    counts = tally(judged)
    yield literal(
        f"{len(judged)} claims: {counts['wrong']} wrong, {counts['cannot_tell']} cannot be told here"
    )
