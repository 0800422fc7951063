"""A check as Markdown: what failed first, everything in a fold, never more bytes than a place allows."""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

from quantroof.gate.check import Report
from quantroof.gate.verdicts import FAILING, OPEN, CaseVerdict
from quantroof.reports.text.gate_words import change_text, headline, sensitivity, share_text

_COLUMNS = ("verdict", "case", "kernel", "change (95 %)", "threshold", "detectable", "why")
_HEAD = f"| {' | '.join(_COLUMNS)} |\n{'|---' * len(_COLUMNS)}|"
_FIRST = 50
_RESERVE = 200  # bytes for the closing lines


def markdown(report: Report, limit_bytes: int | None = None) -> str:
    """The document. With a limit, rows that no longer fit are counted instead of shown."""
    lines = [f"# Gate: {cell(headline(report))}", "", *_facts(report), ""]
    attention = [result for result in report.cases if result.verdict in FAILING + OPEN]
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


def cell(text: str) -> str:
    """Text that cannot break out of a table cell or become markup."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "\\|").replace("`", "'")


def _facts(report: Report) -> Iterator[str]:
    yield f"Run {cell(report.run)} of suite {cell(report.suite)} on {cell(report.device)},"
    yield f"against {cell(report.baseline)}."
    for finding in report.environment:
        yield f"- environment: {cell(finding.text)}"
    for remark in report.remarks:
        yield f"- {cell(remark)}"
    if (seen := sensitivity(report)) is not None:
        yield f"- {cell(seen)}"


def _row(result: CaseVerdict) -> str:
    cells = (
        result.verdict,
        result.case,
        result.kernel,
        change_text(result),
        share_text(result.threshold),
        share_text(result.detectable),
        result.reason,
    )
    return "| " + " | ".join(cell(text) for text in cells) + " |"


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
