"""The three answers a reader comes for: is it healthy, which format, what got slower."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantroof import units
from quantroof.analysis.answers import Answers
from quantroof.analysis.choice import BASELINE, LayerChoice, can_win, crossover, overall
from quantroof.analysis.comparison import CHANGES, RunComparison
from quantroof.analysis.health import BANDWIDTH_FLOOR, SIBLING_FLOOR, HealthReport
from quantroof.analysis.roofs import READ

Tone = Literal["good", "bad", "unsure", "none"]
_FACTS = 3
SYMBOLS: dict[Tone, str] = {"good": "✓", "bad": "✗", "unsure": "?", "none": "○"}


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
    """The cards of a report, in order; the format card is about the first device with timed layers."""
    layers, label = next(
        ((choices, results.label) for results, choices in answers.timed if choices), ([], None)
    )
    by_format = format_card(layers, label if len(answers.devices) > 1 else None)
    return health_card(answers.health), by_format, change_card(answers.comparison)


def health_card(health: HealthReport) -> Card:
    """Is it healthy?"""
    tones: dict[str, Tone] = {"healthy": "good", "unhealthy": "bad", "not judged": "none"}
    facts = (*health.findings, *_ceiling_facts(health), *health.remarks)
    advice = None
    if health.verdict == "not judged":
        advice = (
            "no ceiling can be judged: there is neither a datasheet nor a second device of this model. "
            "Add a run of a sibling: quantroof report RUN RUN"
            if health.rows
            else "no ceiling was measured: quantroof run"
        )
    floor = (
        f"a ceiling more than {units.percent(SIBLING_FLOOR)} below its siblings' median, a read below "
        f"{units.percent(BANDWIDTH_FLOOR)} of the datasheet, or a hardware or thermal slowdown is unhealthy"
    )
    return Card(
        "health", "Is it healthy?", health.verdict, tones[health.verdict], facts[:_FACTS], floor, advice
    )


def format_card(choices: list[LayerChoice], device: str | None = None) -> Card:
    """Which format? Judged by the summed time of all layers, which every token passes through.

    `device` names the one that the answer is for, where there are several.
    """
    floor = "quickest sum of medians over all layers; W8A8 includes quantizing the activations"
    if device:
        floor = f"{floor}; on {device}"
    totals = overall(choices)
    winners = [(m, min(_rivals(times), key=lambda name: times[name], default=None)) for m, times in totals]
    named = [(m, name) for m, name in winners if name is not None]
    if not named:
        advice = "no format was timed on all layers: quantroof run --suite default"
        return Card("formats", "Which format?", "no data", "none", (), floor, advice)
    facts = [crossover([(m, (name,)) for m, name in named])]
    for m, name in dict.fromkeys((named[0], named[-1])):
        times = dict(totals)[m]
        if name != BASELINE and BASELINE in times:
            facts.append(f"{name} is {times[BASELINE] / times[name]:.2f}x {BASELINE} at M = {m}")
    words = list(dict.fromkeys(name for _, name in named))
    verdict = words[0] if len(words) == 1 else f"{words[0]}, then {words[-1]}"
    return Card("formats", "Which format?", verdict, "good", tuple(facts[:_FACTS]), floor)


def change_card(comparison: RunComparison | None) -> Card:
    """What got slower?"""
    question = "What got slower?"
    if comparison is None:
        advice = "no baseline was given: quantroof report RUN --baseline OLDER_RUN"
        return Card("changes", question, "no baseline", "none", (), "", advice)
    floor = (
        f"a case is slower when its whole 95 % interval is more than {units.percent(comparison.floor)} above"
    )
    if comparison.blocked:
        return Card("changes", question, "not comparable", "unsure", (comparison.blocked,), floor)
    slower, open_ = comparison.count("slower"), comparison.count("undecided") + comparison.count("missing")
    counts = [
        f"{comparison.count(verdict)} {verdict}" for verdict in CHANGES[1:] if comparison.count(verdict)
    ]
    facts = [", ".join(counts) or "no case in common"]
    if comparison.entries and comparison.entries[0].verdict == "slower":
        worst = comparison.entries[0]
        facts.insert(
            0, f"{worst.kernel} {worst.case}: {units.change(worst.ratio.median if worst.ratio else None)}"
        )
    if comparison.differences:
        facts.append("differs: " + "; ".join(comparison.differences))
    verdict, tone = _change_word(slower, open_)
    return Card("changes", question, verdict, tone, tuple(facts[:_FACTS]), floor)


def _change_word(slower: int, unresolved: int) -> tuple[str, Tone]:
    if slower:
        return f"{slower} slower", "bad"
    return (f"{unresolved} open", "unsure") if unresolved else ("nothing", "good")


def _rivals(times: dict[str, float]) -> list[str]:
    return [name for name in times if can_win(name)]


def _ceiling_facts(health: HealthReport) -> list[str]:
    """The read bandwidth in figures: the first thing asked of a memory system."""
    reads = [row for row in health.rows if row.quantity == "bandwidth" and row.name == READ]
    if not reads:
        return []
    figures = _span([units.si(rate, "B/s") for rate in sorted(row.measured for row in reads)])
    shares = sorted(share for row in reads if (share := row.against_datasheet) is not None)
    where = reads[0].device if len(reads) == 1 else f"{len(reads)} devices"
    of_sheet = f", {_span([units.percent(share) for share in shares])} of the datasheet" if shares else ""
    return [f"{where}: read {figures}{of_sheet}"]


def _span(texts: list[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"
