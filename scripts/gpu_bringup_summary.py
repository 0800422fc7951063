"""One page out of a bring-up directory: what failed, what was seen, and a verdict as its last line."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from quantroof.bench.selftest.process import Answer
from quantroof.bench.selftest.run import counts, read_answers
from quantroof.cli.self_test import FILE_NAME, failure_line
from quantroof.errors import QuantroofError
from quantroof.records.directory import Run, read_run

MOST_LINES = 60
_FAILURES, _BAD_CASES, _WIDTH = 20, 6, 150
_SHOWN = ("state", "timers", "ceilings")  # their figures are what a reader compares with a datasheet


def main() -> None:
    """Print the page of the directory that the command line names."""
    out = Path(sys.argv[1])
    try:
        answers = read_answers(out / FILE_NAME)
    except OSError:
        answers = []
    run = _run(out / "run")
    failed = [answer for answer in answers if not answer.ok]
    lines = ["# Bring-up", "", "## Self-test", ""]
    lines += [f"- {group}: {right} ok, {wrong} failed" for group, (right, wrong) in counts(answers).items()]
    lines += _some([f"- {failure_line(answer)[:_WIDTH]}" for answer in failed], _FAILURES)
    lines += ["", "## A run", "", *_outcome(run), "", "## Seen", ""]
    lines += [f"- {answer.check}: {_seen(answer.seen)}" for answer in answers if _is_shown(answer)]
    cut = lines[: MOST_LINES - 1]
    if len(lines) > len(cut):
        cut[-1] = f"({len(lines) - len(cut) + 1} more lines: see {FILE_NAME})"
    print("\n".join([*cut, _verdict(answers, failed, run, _unfinished(out / "steps.tsv"))]))


def _verdict(answers: list[Answer], failed: list[Answer], run: Run | None, steps: list[str]) -> str:
    if not answers:
        return "VERDICT: undecided, the self-test wrote nothing: see doctor.log"
    wrong = [f"{len(failed)} failed checks in {FILE_NAME}"] if failed else []
    if run is None:
        wrong.append("the run that was not made: see run.log")
    elif bad := len(_bad(run)):
        wrong.append(f"{bad} cases of the run")
    wrong += steps
    return f"VERDICT: look at {', '.join(wrong)}" if wrong else "VERDICT: everything that was tried works"


def _unfinished(file: Path) -> list[str]:
    """Steps that did not come to their end; exit code 1 of the self-test is a finding, which is counted."""
    try:
        rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    except OSError:
        return []
    return [f"step {name} ({code})" for name, code, _ in rows if code not in ("0", "1")]


def _run(path: Path) -> Run | None:
    try:
        return read_run(path)
    except (OSError, QuantroofError):
        return None


def _bad(run: Run) -> list[str]:
    lines = [m for m in run.measurements if m.status in ("failed", "incorrect")]
    return [f"- {m.status}: {m.case} {m.kernel}: {m.reason}"[:_WIDTH] for m in lines]


def _outcome(run: Run | None) -> list[str]:
    if run is None:
        return ["not made: see run.log"]
    statuses = Counter(m.status for m in run.measurements).most_common()
    devices = ", ".join(device.name for device in run.info.devices)
    versions = ", ".join(f"{name} {version}" for name, version in run.info.versions.items())
    counted = ", ".join(f"{count} {status}" for status, count in statuses) or "nothing measured"
    return [f"- {devices}, {versions}"[:_WIDTH], f"- {counted}", *_some(_bad(run), _BAD_CASES)]


def _some(lines: list[str], most: int) -> list[str]:
    return [*lines[:most], f"- and {len(lines) - most} more"] if len(lines) > most else lines


def _is_shown(answer: Answer) -> bool:
    return answer.ok and answer.group in _SHOWN


def _seen(seen: dict[str, Any] | None) -> str:
    return json.dumps({name: _short(value) for name, value in (seen or {}).items()})[:_WIDTH]


def _short(value: Any) -> Any:
    """Numbers with four significant digits, so that a line holds what was seen."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {name: _short(one) for name, one in value.items()}
    is_many = isinstance(value, Iterable) and not isinstance(value, str)
    return [_short(one) for one in value] if is_many else value


if __name__ == "__main__":
    main()
