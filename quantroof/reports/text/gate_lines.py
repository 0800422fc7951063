"""What the gate's commands print: plain lines, words for every verdict, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from quantroof.records.lines import case_words
from quantroof.reports.text.gate_words import change_text, headline, sensitivity, share_text
from quantroof.reports.text.table import plain

if TYPE_CHECKING:
    from quantroof.gate.baseline import Baseline
    from quantroof.gate.calibrate import Calibration
    from quantroof.gate.check import Report
    from quantroof.gate.verdicts import CaseVerdict

_SHOWN = 40
_HEADINGS = ("detectable", "run noise", "process", "case")


def report_lines(report: Report) -> Iterator[str]:
    """The check: headline, environment, every case that did not simply pass, what a pass is worth."""
    yield headline(report)
    yield f"{report.run}, suite {report.suite} on {report.device}, against {report.baseline}"
    yield from (f"environment: {finding.text}" for finding in report.environment)
    notable = [
        result
        for result in report.cases
        if result.verdict != "same" or result.stage in ("A/B", "re-measured")
    ]
    yield from (_case_line(result) for result in notable[:_SHOWN])
    if len(notable) > _SHOWN:
        yield f"... {len(notable) - _SHOWN} more: --json, --markdown and --junit have them all"
    yield from (f"note: {remark}" for remark in report.remarks)
    if (detectable := sensitivity(report)) is not None:
        yield detectable


def calibration_lines(calibration: Calibration) -> Iterator[str]:
    """What a gate would see here, case by case, the noisiest first."""
    mark = "SIMULATED: " if calibration.baseline.simulated else ""
    baseline = calibration.baseline
    yield f"{mark}learned from {len(baseline.runs)} runs on {baseline.contract.device}"
    for run, findings in calibration.invalid.items():
        yield f"left out {run}: {'; '.join(finding.text for finding in findings)}"
    cases = sorted(calibration.baseline.cases.items(), key=lambda item: -item[1].detectable)
    rows = [
        (*map(share_text, (band.detectable, band.scale, band.process)), _case(name)) for name, band in cases
    ]
    yield from plain(_HEADINGS, rows, right=_HEADINGS[:3])
    for name, anchor in calibration.baseline.anchors.items():
        yield f"the {name} anchor may move {anchor.may_move:.1%} within a process"
    yield f"a slowdown of {calibration.smallest_for_all:.1%} is found in every case here, with 90 % power"


def update_lines(old: Baseline | None, new: Baseline, left_out: Mapping[str, str]) -> Iterator[str]:
    """What an update changes: cases that came, went or moved, and those that were left out with reasons."""
    yield f"{len(new.cases)} cases from {len(new.runs)} runs"
    yield from (f"left out: {name}: {reason}" for name, reason in left_out.items())
    if old is None:
        return
    for word, names in (("new", new.cases.keys() - old.cases), ("gone", old.cases.keys() - new.cases)):
        yield from (f"{word}: {_case(name)}" for name in sorted(names))
    for name in sorted(new.cases.keys() & old.cases):
        before, after = old.cases[name], new.cases[name]
        change = after.ns / before.ns - 1
        if before.moved_to(after):
            yield f"moved {change:+.1%}: {_case(name)} ({before.ns:.6g} -> {after.ns:.6g} ns)"


def _case_line(result: CaseVerdict) -> str:
    change = change_text(result)
    return f"{result.verdict:<12} {change:<28} {case_words(result.case)}, {result.kernel}: {result.reason}"


def _case(name: str) -> str:
    """A case and its kernel for people: `int4-w4a16, M 1, 4096x4096, triton.int4`."""
    from quantroof.gate.baseline import split_name

    case, kernel = split_name(name)
    return f"{case_words(case)}, {kernel}"
