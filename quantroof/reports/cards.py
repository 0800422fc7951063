"""The three answers a reader comes for, worded: is it healthy, which format, what got slower."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof import units
from quantroof.analysis.answers import Answers
from quantroof.analysis.choice import BASELINE, crossover
from quantroof.analysis.comparison import CaseChange, RunComparison
from quantroof.analysis.conclusions import ChangeAnswer, FormatAnswer, HealthAnswer, Reads, conclude
from quantroof.analysis.floors import BANDWIDTH_FLOOR, SIBLING_FLOOR
from quantroof.analysis.verdicts import CHANGES, Tone
from quantroof.records.lines import case_words

_FACTS = 3
SYMBOLS: dict[Tone, str] = {"good": "✓", "bad": "✗", "unsure": "?", "none": "○"}
_LACKING = {
    "reference": "add a run of a sibling: quantroof report RUN RUN",
    "ceilings": "measure the ceilings: quantroof run",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A question, its verdict word, at most three facts, the floor it was judged by, and what to run next."""

    anchor: str
    question: str
    verdict: str
    tone: Tone
    facts: tuple[str, ...]
    floor: str
    advice: str | None = None

    @property
    def symbol(self) -> str:
        """A sign beside the word, so that no color carries the answer alone."""
        return SYMBOLS[self.tone]


def cards(answers: Answers) -> tuple[Card, ...]:
    """The cards of a report, in order."""
    conclusions = conclude(answers)
    return _health(conclusions.health), _formats(conclusions.formats), _changes(conclusions.changes)


def untrusted(answers: Answers) -> list[str]:
    """One sentence per device whose figures may not be used."""
    return [
        f"{results.label}: {results.trust.words}"
        for results in answers.devices
        if results.timed and not results.trust.usable
    ]


def _health(answer: HealthAnswer) -> Card:
    report = answer.report
    verdict = report.verdict
    first = [verdict.reason] if verdict.state == "unknown" and verdict.reason else []
    facts = (*first, *report.findings, *_reads(answer.reads), *report.remarks)
    floor = (
        f"a ceiling more than {units.percent(SIBLING_FLOOR)} below its siblings' median, a read far "
        f"below what others published (else {units.percent(BANDWIDTH_FLOOR)} of the datasheet), or a "
        "hardware or thermal slowdown is degraded"
    )
    advice = None if answer.lacking is None else _LACKING[answer.lacking]
    return Card("health", "Is it healthy?", verdict.words, answer.tone, facts[:_FACTS], floor, advice)


def _reads(reads: Reads | None) -> list[str]:
    """The read bandwidth in figures: the first thing asked of a memory system."""
    if reads is None:
        return []
    where = reads.devices[0] if len(reads.devices) == 1 else f"{len(reads.devices)} devices"
    rates = _span([units.si(rate, "B/s") for rate in reads.rates])
    shares = [units.percent(share) for share in reads.shares]
    return [f"{where}: read {rates}" + (f", {_span(shares)} of the datasheet" if shares else "")]


def _formats(answer: FormatAnswer) -> Card:
    question = "Which format?"
    floor = "lowest total time over all layers; W8A8 includes quantizing the activations"
    if answer.device:
        floor = f"{floor}; on {answer.device}"
    if answer.reason is not None:
        return Card("formats", question, "unknown", answer.tone, (answer.reason,), floor)
    if not answer.leads:
        advice = "no format was timed on all layers: quantroof run --suite default"
        return Card("formats", question, "no data", answer.tone, (), floor, advice)
    facts = [crossover([(lead.m, lead.leaders) for lead in answer.leads])]
    facts += [answer.caveat] if answer.caveat else []
    facts += [
        f"{lead.scheme} is {lead.speed_up:.2f}x {BASELINE} at M = {lead.m}"
        for lead in dict.fromkeys((answer.leads[0], answer.leads[-1]))
        if lead.speed_up is not None
    ]
    first, *others = dict.fromkeys(lead.words for lead in answer.leads)
    verdict = f"{first}, then {others[-1]}" if others else first
    return Card("formats", question, verdict, answer.tone, tuple(facts[:_FACTS]), floor)


def _changes(answer: ChangeAnswer) -> Card:
    question, comparison = "What got slower?", answer.comparison
    if comparison is None:
        advice = "to compare: quantroof report RUN --before OLDER_RUN"
        return Card("changes", question, answer.state, answer.tone, (), "", advice)
    floor = (
        f"a case is slower when its whole 95 % interval is more than {units.percent(comparison.floor)} above"
    )
    words = {"slower": f"{answer.slower} slower", "open": f"{answer.unresolved} open"}
    facts = (comparison.summary, *(() if comparison.blocked else _change_facts(comparison, answer.worst)))
    verdict = words.get(answer.state, answer.state)
    return Card("changes", question, verdict, answer.tone, tuple(facts[:_FACTS]), floor)


def _change_facts(comparison: RunComparison, worst: CaseChange | None) -> tuple[str, ...]:
    counts = [f"{number} {word}" for word in CHANGES[1:] if (number := comparison.count(word))]
    facts = [", ".join(counts) or "no case in common"]
    if worst is not None:
        ratio = None if worst.ratio is None else worst.ratio.median
        facts.insert(0, f"largest: {case_words(worst.case)}, {worst.kernel}: {units.change(ratio)}")
    if comparison.differences:
        facts.append("differs: " + "; ".join(comparison.differences))
    return tuple(facts)


def _span(texts: Sequence[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"
