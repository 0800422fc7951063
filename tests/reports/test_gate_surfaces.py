"""What CI sees: JUnit, Markdown within its limit, GitHub's annotations and summary; hostile names inside."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from msgspec.structs import replace

from quantroof.errors import EnvironmentMissing, ExitCode
from quantroof.finding import Finding
from quantroof.gate.check import Report
from quantroof.gate.verdicts import VERDICTS, CaseVerdict, GateVerdict, worst_first
from quantroof.reports.exports import github
from quantroof.reports.exports.junit import junit
from quantroof.reports.text import md
from quantroof.reports.text.gate_lines import report_lines
from quantroof.reports.text.gate_markdown import markdown
from tests.gate.made import case_id

_HOSTILE = "evil|<b>`x`</b>\n::error::"


def _verdict(
    m: int, verdict: GateVerdict = "same", kernel: str = "torch.linear", reason: str = "why"
) -> CaseVerdict:
    return CaseVerdict(
        case=case_id(m), kernel=kernel, verdict=verdict, reason=reason, change=0.031, low=0.02, high=0.04,
        threshold=0.01, detectable=0.012, base_ns=1000.0, now_ns=1031.0,
    )  # fmt: skip


def _report(cases: list[CaseVerdict], environment: tuple[Finding, ...] = ()) -> Report:
    code = ExitCode.ENVIRONMENT if environment else ExitCode.FINDING
    return Report(
        run="r", device="NVIDIA H100", suite="default", baseline="b.json", simulated=False, exit_code=code,
        environment=environment, cases=worst_first(cases), remarks=("a note",),
    )  # fmt: skip


@pytest.fixture
def mixed() -> Report:
    """One case of every verdict that is told apart."""
    return _report([_verdict(m, verdict) for m, verdict in enumerate(VERDICTS, start=2)])


def test_junit_counts_what_ci_counts(mixed: Report) -> None:
    """Slower and missing are failures, open and waived cases are skipped, numbers are properties."""
    suite = ET.fromstring(junit(mixed))[0]

    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")} == {
        "tests": "8", "failures": "2", "errors": "0", "skipped": "3",
    }  # fmt: skip
    failed = [test.get("name") for test in suite.iter("testcase") if test.find("failure") is not None]
    assert failed == [f"{case_id(2)} torch.linear", f"{case_id(3)} torch.linear"]
    values = {p.get("name"): p.get("value") for p in suite.findall("testcase")[0].iter("property")}
    assert (values["change"], values["detectable"]) == ("0.031", "0.012")


@pytest.mark.parametrize("verdict", ["slower", "undecided", "same"])
def test_every_decision_shows_both_of_its_figures(verdict: GateVerdict) -> None:
    """The screen's change and the one measured again: in the terminal, above Markdown's fold, in JUnit."""
    again = replace(_verdict(2, verdict), first_change=0.092, stage="A/B")
    report = _report([again, _verdict(3)])
    both = "+9.2% -> +3.1% (+2.0% to +4.0%)"
    above, _, folded = markdown(report).partition("<details>")

    assert [both in line for line in report_lines(report) if line.startswith(verdict)] == [True]
    assert md.text(both) in above
    assert md.text(both) in folded
    assert case_id(3) not in above
    assert '<property name="first_change" value="0.092" />' in junit(report)


def test_junit_shows_an_invalid_environment_as_an_error() -> None:
    """No case was judged, and the file still does not read as a pass."""
    suite = ET.fromstring(junit(_report([], (Finding("unknown", "throttled", "too hot"),))))[0]

    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    assert suite.find("testcase/error") is not None


def test_hostile_names_stay_text() -> None:
    """Control characters, markup, table bars and workflow commands in a name or reason do nothing."""
    report = _report([_verdict(2, "slower", kernel="evil\x00|<b>", reason=_HOSTILE)])
    assert "evil?|&lt;b&gt;" in junit(report)
    ET.fromstring(junit(report))
    rows = [line for line in markdown(report).splitlines() if line.startswith("| slower")]
    assert rows
    assert all(line.replace("\\|", "").count("|") == 8 for line in rows)
    assert "<b>" not in markdown(report)
    commands = list(github.workflow_commands(report))
    assert len(commands) == 1
    assert "\n" not in commands[0]


def test_markdown_keeps_its_limit_and_puts_failures_first() -> None:
    """5,000 cases in 200 kB: the failure stands above the fold, the rest is counted."""
    report = _report([_verdict(m) for m in range(2, 5002)] + [_verdict(5002, "slower")])
    text = markdown(report, 200_000)

    assert len(text.encode()) <= 200_000
    assert text.index("| slower") < text.index("<details>")
    assert text.index("<details>") < text.index("| same")
    assert "cases are left out here" in text
    assert text.rstrip().endswith("</details>")


def test_annotations_are_one_a_family_and_ten_at_most() -> None:
    """Thirty slow cases of one kernel are one annotation; twelve families are nine and a pointer."""
    one = list(github.workflow_commands(_report([_verdict(m, "slower") for m in range(2, 32)])))
    many = _report([_verdict(2, "slower", kernel=f"torch.k{n}") for n in range(12)])

    assert len(one) == 1
    assert one[0].startswith(
        "::error title=quantroof gate%3A bf16 torch.linear::slower: bf16, M 10, 4096x4096 "
    )
    assert "and 29 more cases" in one[0]
    assert len(list(github.workflow_commands(many))) == 10
    assert "3 more families" in list(github.workflow_commands(many))[-1]


def test_the_step_summary_is_appended(mixed: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What another step wrote stays; outside GitHub the option says what to use instead."""
    target = tmp_path / "summary.md"
    target.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    github.write_summary(mixed)
    assert target.read_text().startswith("before\n# Gate: REGRESSION")

    monkeypatch.delenv("GITHUB_STEP_SUMMARY")
    with pytest.raises(EnvironmentMissing, match="--markdown FILE"):
        github.write_summary(mixed)


def test_a_summary_leaves_room_for_what_other_steps_wrote(
    mixed: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GitHub drops a file that is larger than its limit, so what is there already counts against it."""
    whole = len(markdown(mixed).encode())
    target = tmp_path / "summary.md"
    target.write_text("x" * 5000)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(target))
    monkeypatch.setattr(github, "SUMMARY_LIMIT_BYTES", 5000 + whole - 400)
    github.write_summary(mixed)

    assert target.read_text().startswith("x" * 5000 + "# Gate")
    assert "cases are left out here" in target.read_text()
    assert target.stat().st_size <= github.SUMMARY_LIMIT_BYTES
