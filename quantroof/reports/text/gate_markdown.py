"""A check as Markdown: failures first, the rest folded, within the size limit of its destination."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from quantroof.gate.check import Report
from quantroof.gate.verdicts import FAILING, OPEN, CaseVerdict
from quantroof.records.lines import case_words
from quantroof.reports.text import md
from quantroof.reports.text.gate_words import change_text, headline, sensitivity, share_text

_COLUMNS = ("verdict", "case", "kernel", "change (95 %)", "threshold", "detectable", "why")
_HEAD = md.head(_COLUMNS)
_FIRST = 50
_RESERVE = 200  # bytes for the closing lines


def markdown(report: Report, limit_bytes: int | None = None) -> str:
    """The document. With a limit, rows that no longer fit are counted instead of shown."""
    lines = [f"# Gate: {md.text(headline(report))}", "", *_facts(report), ""]
    attention = [j for j in report.cases if j.verdict in FAILING + OPEN or j.first_change is not None]
    if attention:
        lines += [_HEAD, *(_row(result) for result in attention[:_FIRST])]
        if len(attention) > _FIRST:
            lines.append(f"\n{len(attention) - _FIRST} more below.")
        lines.append("")
    if not report.cases:
        return "\n".join(lines)
    lines += [f"<details><summary>All {len(report.cases)} cases</summary>", "", _HEAD]
    text = "\n".join(lines)
    room = None if limit_bytes is None else limit_bytes - len(text.encode()) - _RESERVE
    rows, left = _fitting((_row(result) for result in report.cases), room)
    closing = [f"\n{left} cases are left out here: see the JSON or JUnit file."] if left else []
    return "\n".join([text, *rows, *closing, "", "</details>", ""])


def _facts(report: Report) -> Iterator[str]:
    where = f"Run {report.run} of suite {report.suite} on {report.device}, against {report.baseline}."
    yield md.text(where)
    notes = [f"environment: {finding.text}" for finding in report.environment]
    notes += report.remarks
    if (detectable := sensitivity(report)) is not None:
        notes.append(detectable)
    if notes:
        yield f"\n{md.bullets(notes)}"


def _row(result: CaseVerdict) -> str:
    return md.row(
        (
            result.verdict,
            case_words(result.case),
            result.kernel,
            change_text(result),
            share_text(result.threshold),
            share_text(result.detectable),
            result.reason,
        )
    )


def _fitting(rows: Iterable[str], room: int | None) -> tuple[list[str], int]:
    kept: list[str] = []
    left = 0
    for row in rows:
        size = len(row.encode()) + 1
        if room is not None and (left or size > room):
            left += 1
            continue
        kept.append(row)
        room = None if room is None else room - size
    return kept, left
