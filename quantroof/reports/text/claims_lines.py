"""Claims in the terminal: verdict, words, evidence and what repeats them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from quantroof.reports.text.console import stdout

if TYPE_CHECKING:
    from quantroof.claims.model import Judgement

_STYLES = {"holds": "green", "wrong": "red", "cannot tell here": "yellow"}
_INDENT = " " * 18


def tally(judged: Sequence[Judgement]) -> dict[str, int]:
    """How many claims have each outcome."""
    counts = Counter(j.outcome for j in judged)
    return {"holds": counts["holds"], "wrong": counts["wrong"], "cannot_tell": counts["cannot tell here"]}


def document(judged: Sequence[Judgement]) -> dict[str, Any]:
    """The JSON of judgements, with what repeats each of them."""
    import msgspec

    from quantroof.claims.checklist import command_for

    rows = [{**msgspec.to_builtins(j), "command": command_for(j)} for j in judged]
    return {"judgements": rows, **tally(judged)}


def print_judgements(judged: Sequence[Judgement]) -> None:
    """Every claim with its outcome and evidence."""
    from quantroof.claims.checklist import command_for

    console = stdout()
    for judgement in judged:
        console.print(f"[{_STYLES[judgement.outcome]}]{judgement.outcome:16}[/]  ", end="")
        row = f"{judgement.claim.row}: " if judgement.claim.row else ""
        console.print(row + judgement.claim.text, markup=False, soft_wrap=True)
        for evidence in judgement.evidence:
            console.print(_INDENT + evidence, markup=False, soft_wrap=True)
        if judgement.outcome == "cannot tell here":
            console.print(f"{_INDENT}decided by: {command_for(judgement)}", markup=False, soft_wrap=True)
    counts = tally(judged)
    console.print(
        f"{len(judged)} claims: {counts['wrong']} wrong, {counts['cannot_tell']} cannot be told here"
    )
