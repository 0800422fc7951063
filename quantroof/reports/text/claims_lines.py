"""Claims in the terminal: outcome, words, evidence and the command that repeats or decides them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.claims.checklist import RowVerdict, command_for, rows
from quantroof.reports.text.table import literal, plain

if TYPE_CHECKING:
    from rich.text import Text

    from quantroof.claims.claim import ClaimResult

_STYLES = {"holds": "green", "wrong": "red", "cannot tell here": "yellow"}
_OUTCOMES = {"holds": "true", "wrong": "false", "cannot tell here": "undecided"}
_VERDICTS: dict[RowVerdict, str] = {
    "holds": "true",
    "in part": "partly true",
    "wrong": "false",
    "open": "undecided",
}
_MORE = "--wrong lists what is false, --only A4 shows one row, --all everything"
_INDENT = " " * 11


def tally(results: Sequence[ClaimResult]) -> dict[str, int]:
    """How many claims have each outcome."""
    counts = Counter(result.outcome for result in results)
    return {"holds": counts["holds"], "wrong": counts["wrong"], "cannot_tell": counts["cannot tell here"]}


def document(results: Sequence[ClaimResult]) -> dict[str, Any]:
    """The JSON of results, each with its command, and the verdict of every row."""
    claims = [{**msgspec.to_builtins(result), "command": command_for(result)} for result in results]
    return {"results": claims, "rows": {row.name: row.verdict for row in rows(results)}, **tally(results)}


def claim_lines(results: Sequence[ClaimResult], sections: Mapping[str, str]) -> Iterator[Text]:
    """Every claim with its outcome and evidence, by section and row."""
    section = None
    checklist = rows(results)
    for row in checklist:
        if row.name[:1] != section and row.name[:1] in sections:
            section = row.name[:1]
            yield literal(f"{section}. {sections[section]}", style="bold")
        for result in row.results:
            yield from _claim(result)
    yield literal(_total(results))


def _total(results: Sequence[ClaimResult]) -> str:
    """`179 claims: 60 false, 25 undecided; 88 rows: 19 true, 16 partly true, 30 false, 23 undecided`."""
    checklist = rows(results)
    counts, verdicts = tally(results), Counter(row.verdict for row in checklist)
    of_rows = ", ".join(f"{verdicts[verdict]} {word}" for verdict, word in _VERDICTS.items())
    return (
        f"{len(results)} claims: {counts['wrong']} false, {counts['cannot_tell']} undecided;"
        f" {len(checklist)} row{'' if len(checklist) == 1 else 's'}: {of_rows}"
    )


def head_lines(results: Sequence[ClaimResult], sections: Mapping[str, str]) -> list[str]:
    """A line per section with its rows by verdict, and how to see more."""
    checklist = rows(results)
    counted = []
    for letter in dict.fromkeys(row.name[:1] for row in checklist):
        verdicts = Counter(row.verdict for row in checklist if row.name[:1] == letter)
        cells = [str(verdicts[verdict] or "-") for verdict in _VERDICTS]
        counted.append((f"{letter}. {sections.get(letter, 'others')}", *cells))
    return [
        *plain(("section", *_VERDICTS.values()), counted, right=list(_VERDICTS.values())),
        _total(results),
        _MORE,
    ]


def _claim(result: ClaimResult) -> Iterator[Text]:
    row = f"{result.claim.row}: " if result.claim.row else ""
    outcome = literal(f"{_OUTCOMES[result.outcome]:9}", style=_STYLES[result.outcome])
    yield outcome.append(literal(f"  {row}{result.claim.text}"))
    yield from (literal(_INDENT + evidence) for evidence in result.evidence)
    if result.outcome == "cannot tell here":
        yield literal(f"{_INDENT}decided by: {command_for(result)}")
