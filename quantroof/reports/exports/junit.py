"""A check as JUnit XML: a case is a test, a confirmed finding a failure, an open question skipped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from quantroof.gate.check import Report
from quantroof.gate.verdicts import FAILING, CaseVerdict
from quantroof.records.lines import parsed_case
from quantroof.reports.text.gate_words import change_text, headline

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SKIPPED = ("undecided", "not comparable", "waived")


def junit(report: Report) -> str:
    """The document. An invalid environment is one test with an error, so that it is not taken for a pass."""
    failures = sum(result.verdict in FAILING for result in report.cases)
    skipped = sum(result.verdict in _SKIPPED for result in report.cases)
    suite = ET.Element(
        "testsuite",
        name=_clean(f"quantroof gate {report.suite} {report.device}"),
        tests=str(len(report.cases) + bool(report.environment)),
        failures=str(failures),
        errors=str(int(bool(report.environment))),
        skipped=str(skipped),
    )
    _properties(suite, {"headline": headline(report), "run": report.run, "baseline": report.baseline})
    if report.environment:
        test = ET.SubElement(suite, "testcase", classname="quantroof.gate", name="environment")
        text = "\n".join(finding.text for finding in report.environment)
        ET.SubElement(test, "error", message=_clean(text), type="environment")
    for result in report.cases:
        _test(suite, result)
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _test(suite: ET.Element, result: CaseVerdict) -> None:
    family = parsed_case(result.case).scheme
    name = _clean(f"{result.case} {result.kernel}")
    test = ET.SubElement(suite, "testcase", classname=f"quantroof.gate.{family}", name=name)
    _properties(test, dict(_numbers(result)))
    message = _clean(f"{result.verdict} {change_text(result)}: {result.reason}")
    if result.verdict in FAILING:
        ET.SubElement(test, "failure", message=message, type=result.verdict)
    elif result.verdict in _SKIPPED:
        ET.SubElement(test, "skipped", message=message)


def _numbers(result: CaseVerdict) -> Iterator[tuple[str, str]]:
    yield "verdict", result.verdict
    yield "reason", result.reason
    for name in ("first_change", "change", "low", "high", "threshold", "detectable", "base_ns", "now_ns"):
        value = getattr(result, name)
        if value is not None:
            yield name, f"{value:.6g}"


def _properties(parent: ET.Element, values: dict[str, str]) -> None:
    block = ET.SubElement(parent, "properties")
    for name, value in values.items():
        ET.SubElement(block, "property", name=name, value=_clean(value))


def _clean(text: str) -> str:
    """Without the characters that no XML document may hold."""
    return _NOT_XML.sub("?", text)
