"""Two runs side by side, as lines and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from quantroof.analysis.verdicts import CHANGES
from quantroof.records.lines import case_words
from quantroof.units import NONE, change

if TYPE_CHECKING:
    from quantroof.analysis.comparison import CaseChange, RunComparison


_REPEATED = 3  # cases: a cause of more than these is one line above them


def comparison_lines(comparison: RunComparison, entries: Sequence[CaseChange]) -> Iterator[str]:
    """What is simulated, the sentence, the counts, what differs, and one line per entry if they compare."""
    if comparison.simulated:
        yield "SIMULATED: no device was measured"
    yield comparison.summary
    counts = ", ".join(f"{n} {verdict}" for verdict in CHANGES if (n := comparison.count(verdict)))
    yield f"{comparison.base_id} -> {comparison.now_id}: {counts}"
    yield from (f"differs: {text}" for text in comparison.differences)
    shown = entries if comparison.blocked is None else ()
    counted = Counter(cause for entry in shown for cause in entry.causes)
    shared = {cause: count for cause, count in counted.items() if count > _REPEATED}
    yield from (f"{count} cases: {cause}" for cause, count in shared.items())
    for entry in shown:
        own = [cause for cause in entry.causes if cause not in shared]
        causes = f": {'; '.join(own)}" if own else ""
        what = f"{entry.device} {case_words(entry.case)}, {entry.kernel}"
        yield f"{entry.verdict:<10} {_ratio(entry):<28} {what}{causes}"


def comparison_document(comparison: RunComparison, entries: Sequence[CaseChange]) -> dict[str, Any]:
    """The same as data."""
    return {
        "verdict": comparison.verdict,
        "summary": comparison.summary,
        "base": comparison.base_id,
        "now": comparison.now_id,
        "simulated": comparison.simulated,
        "floor": comparison.floor,
        "blocked": comparison.blocked,
        "differences": list(comparison.differences),
        "entries": [
            {
                "device": entry.device,
                "case": entry.case,
                "kernel": entry.kernel,
                "verdict": entry.verdict,
                "ratio": None if entry.ratio is None else entry.ratio.median,
                "low": None if entry.ratio is None else entry.ratio.low,
                "high": None if entry.ratio is None else entry.ratio.high,
                "causes": list(entry.causes),
            }
            for entry in entries
        ],
    }


def _ratio(entry: CaseChange) -> str:
    ratio = entry.ratio
    return NONE if ratio is None else f"{change(ratio.median)} ({change(ratio.low)} to {change(ratio.high)})"
