"""The words that every surface of the gate uses: the outcome, the counts, a change with its interval."""

from __future__ import annotations

from statistics import median

from quantroof.errors import ExitCode
from quantroof.gate.check import Report
from quantroof.gate.verdicts import CaseVerdict, counts

_OUTCOMES = {
    ExitCode.OK: "PASS",
    ExitCode.FINDING: "REGRESSION",
    ExitCode.ENVIRONMENT: "ENVIRONMENT INVALID",
    ExitCode.UNDECIDED: "UNDECIDED",
}


def outcome(report: Report) -> str:
    """The whole check in a word or two."""
    return _OUTCOMES[report.exit_code]


def headline(report: Report) -> str:
    """`PASS: 198 pass, 2 waived`, marked where the device was simulated."""
    words = ", ".join(f"{n} {verdict}" for verdict, n in counts(report.cases).items())
    mark = "SIMULATED, " if report.simulated else ""
    return f"{mark}{outcome(report)}: {words or 'no case was judged'}"


def sensitivity(report: Report) -> str | None:
    """What a pass is worth: the slowdowns that this gate detects, None if nothing was judged."""
    shares = [j.detectable for j in report.cases if j.detectable is not None]
    if not shares:
        return None
    return (
        f"this gate detects slowdowns from {min(shares):.1%} (best case), {median(shares):.1%} (median), "
        f"{max(shares):.1%} (noisiest), each with 90 % power"
    )


def change_text(result: CaseVerdict) -> str:
    """`+3.1 % (+2.6 to +3.7)`, after the change in the run itself where it was measured again, or a dash."""
    if result.change is None or result.low is None or result.high is None:
        return "-"
    before = "" if result.first_change is None else f"{result.first_change:+.1%} -> "
    return f"{before}{result.change:+.1%} ({result.low:+.1%} to {result.high:+.1%})"


def share_text(value: float | None) -> str:
    """A share as a percentage, or a dash."""
    return "-" if value is None else f"{value:.1%}"
