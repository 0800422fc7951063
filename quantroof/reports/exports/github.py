"""A check for GitHub Actions: one annotation per family of cases, and a step summary of limited size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from quantroof.errors import EnvironmentMissing
from quantroof.gate.check import Report
from quantroof.gate.verdicts import FAILING, OPEN, CaseVerdict
from quantroof.records.lines import case_words, parsed_case
from quantroof.reports.text.gate_markdown import markdown
from quantroof.reports.text.gate_words import change_text, headline

SUMMARY_LIMIT_BYTES = 1 << 20  # GitHub drops a step summary that is larger
ANNOTATION_LIMIT = 10  # GitHub shows ten of a kind in a step
_SUMMARY = "GITHUB_STEP_SUMMARY"


def summary_file() -> Path:
    """Where the step summary goes; EnvironmentMissing outside GitHub Actions."""
    target = os.environ.get(_SUMMARY)
    if not target:
        hint = "--github is for GitHub Actions; elsewhere use --markdown FILE"
        raise EnvironmentMissing(f"{_SUMMARY} is not set", hint=hint)
    return Path(target)


def write_summary(report: Report) -> None:
    """Append the check to the step summary."""
    path = summary_file()
    used = path.stat().st_size if path.exists() else 0
    with path.open("a", encoding="utf-8") as file:
        file.write(markdown(report, SUMMARY_LIMIT_BYTES - used))


def workflow_commands(report: Report) -> Iterator[str]:
    """Workflow commands: an error per family that failed, a warning per family that is open."""
    if report.environment:
        yield _command("error", headline(report), "; ".join(finding.text for finding in report.environment))
    for level, verdicts in (("error", FAILING), ("warning", OPEN)):
        families = _families([result for result in report.cases if result.verdict in verdicts])
        shown = ANNOTATION_LIMIT if len(families) <= ANNOTATION_LIMIT else ANNOTATION_LIMIT - 1
        for name, members in list(families.items())[:shown]:
            yield _command(level, f"quantroof gate: {name}", _sentence(members))
        if len(families) > shown:
            text = f"{len(families) - shown} more families: see the step summary"
            yield _command(level, "quantroof gate", text)


def _families(cases: list[CaseVerdict]) -> dict[str, list[CaseVerdict]]:
    families: dict[str, list[CaseVerdict]] = {}
    for result in cases:
        name = f"{parsed_case(result.case).scheme} {result.kernel}"
        families.setdefault(name, []).append(result)
    return families


def _sentence(members: list[CaseVerdict]) -> str:
    worst = members[0]
    rest = f", and {len(members) - 1} more cases" if len(members) > 1 else ""
    return f"{worst.verdict}: {case_words(worst.case)} {change_text(worst)}, {worst.reason}{rest}"


def _command(level: str, title: str, message: str) -> str:
    """A workflow command, its text escaped as GitHub's own toolkit does."""
    return f"::{level} title={_escaped(title, ':', ',')}::{_escaped(message)}"


def _escaped(text: str, *also: str) -> str:
    for character in ("%", "\r", "\n", *also):
        text = text.replace(character, f"%{ord(character):02X}")
    return text
