"""The three answers of a report as values: is it healthy, which format, what got slower.

Every decision about a verdict and its tone is made here; cards, Markdown and the terminal only word it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from quantroof.analysis.answers import Answers
from quantroof.analysis.choice import BASELINE, LayerChoice, whole_batches
from quantroof.analysis.comparison import CaseChange, RunComparison
from quantroof.analysis.health import NO_CEILING, NO_REFERENCE, HealthReport
from quantroof.analysis.points import Point
from quantroof.analysis.roofs import READ
from quantroof.analysis.trust import Trust
from quantroof.analysis.verdicts import Tone
from quantroof.analysis.winner import candidate, summed, winner

Lacking = Literal["ceilings", "reference"]
ChangeState = Literal["no baseline", "not comparable", "slower", "open", "nothing"]

_LACKING: dict[str | None, Lacking] = {NO_CEILING: "ceilings", NO_REFERENCE: "reference"}
_CHANGE_TONES: dict[ChangeState, Tone] = {
    "no baseline": "none",
    "not comparable": "unsure",
    "slower": "bad",
    "open": "unsure",
    "nothing": "good",
}


@dataclass(frozen=True, slots=True)
class Reads:
    """Read bandwidths of the devices, in bytes/s and as shares of the datasheet, both ascending."""

    devices: tuple[str, ...]
    rates: tuple[float, ...]
    shares: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class HealthAnswer:
    """Is it healthy? `lacking` names what a judgment would need, None if one was given."""

    report: HealthReport
    tone: Tone
    reads: Reads | None
    lacking: Lacking | None


@dataclass(frozen=True, slots=True)
class Lead:
    """The fastest scheme at one M by the summed time of all layers.

    `speed_up` is over BASELINE; None for BASELINE itself and where it was not timed on all layers.
    """

    m: int
    scheme: str
    speed_up: float | None
    ties: tuple[str, ...] = ()
    """Schemes whose time cannot be told apart from it."""

    @property
    def leaders(self) -> tuple[str, ...]:
        """The scheme and those that tie with it."""
        return self.scheme, *self.ties

    @property
    def words(self) -> str:
        """`int4-w4a16`, or `fp8-w8a8 = int8-w8a8` for a tie."""
        return " = ".join(self.leaders)


@dataclass(frozen=True, slots=True)
class FormatAnswer:
    """Which format? The leads by rising M; `device` names one of several, the one that was judged.

    `reason` is why nothing leads although formats were timed.
    """

    tone: Tone
    leads: tuple[Lead, ...]
    device: str | None
    reason: str | None = None
    caveat: str | None = None
    """Why only large leads count, where that is so."""

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes that lead anywhere, in the order in which they first do."""
        return tuple(dict.fromkeys(lead.scheme for lead in self.leads))


@dataclass(frozen=True, slots=True)
class ChangeAnswer:
    """What got slower? `unresolved` counts undecided and missing cases; `worst` is the slowest case."""

    state: ChangeState
    tone: Tone
    comparison: RunComparison | None
    slower: int = 0
    unresolved: int = 0
    worst: CaseChange | None = None


@dataclass(frozen=True, slots=True)
class Conclusions:
    """The three answers."""

    health: HealthAnswer
    formats: FormatAnswer
    changes: ChangeAnswer


def conclude(answers: Answers) -> Conclusions:
    """The answers of a report; the format answer is about the first device with timed layers."""
    timed = [(results, own) for results, own in answers.timed if own]
    usable = next((pair for pair in timed if pair[0].trust.usable), timed[0] if timed else None)
    label = usable[0].label if usable and len(answers.devices) > 1 else None
    formats = format_answer(usable[1], label, usable[0].trust) if usable else format_answer([])
    return Conclusions(
        health_answer(answers.health),
        formats,
        change_answer(answers.comparison),
    )


def health_answer(report: HealthReport) -> HealthAnswer:
    """The health of all devices together."""
    return HealthAnswer(report, report.verdict.tone, _reads(report), _LACKING.get(report.verdict.reason))


def format_answer(
    choices: list[LayerChoice], device: str | None = None, trust: Trust | None = None
) -> FormatAnswer:
    """The format by the summed time of all layers, which every token passes through."""
    lead_by = 0.0 if trust is None else trust.lead_by
    if choices and trust is not None and lead_by is None:
        return FormatAnswer("unsure", (), device, trust.words)
    batches = whole_batches(choices)
    leads = tuple(lead for m, best in batches if (lead := _lead(m, best, lead_by or 0.0)) is not None)
    caveat = "; ".join((*trust.reasons, trust.advice)) if trust is not None and not trust.usable else None
    decided = bool(leads) and not (leads[0].ties or leads[-1].ties)
    return FormatAnswer("good" if decided else "unsure" if leads else "none", leads, device, caveat=caveat)


def change_answer(comparison: RunComparison | None) -> ChangeAnswer:
    """The change between two runs; slower cases come first, then the undecided ones."""
    if comparison is None:
        return ChangeAnswer("no baseline", _CHANGE_TONES["no baseline"], None)
    if comparison.blocked:
        return ChangeAnswer("not comparable", _CHANGE_TONES["not comparable"], comparison)
    slower = comparison.count("slower")
    unresolved = sum(comparison.count(word) for word in ("undecided", "missing", "not comparable"))
    state: ChangeState = "slower" if slower else "open" if unresolved else "nothing"
    worst = comparison.entries[0] if slower else None
    return ChangeAnswer(state, _CHANGE_TONES[state], comparison, slower, unresolved, worst)


def _lead(m: int, best: dict[str, list[Point]], lead_by: float) -> Lead | None:
    first, *ties = winner(best, lead_by).leaders or (None,)
    if first is None:
        return None
    base = candidate(best.get(BASELINE, ())) if first != BASELINE and not lead_by else None
    speed_up = None if base is None else base.time.median / summed(best[first]).median
    return Lead(m, first, speed_up, tuple(name for name in ties if name is not None))


def _reads(report: HealthReport) -> Reads | None:
    rows = [row for row in report.rows if (row.quantity, row.name) == ("bandwidth", READ)]
    if not rows:
        return None
    shares = sorted(share for row in rows if (share := row.against_datasheet) is not None)
    return Reads(
        tuple(row.device for row in rows), tuple(sorted(row.measured for row in rows)), tuple(shares)
    )
