"""The first screen of the page: identity, trust strip, and the graphics of the cards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from quantroof import units
from quantroof.advisor.advice import Advice
from quantroof.analysis.answers import Answers
from quantroof.analysis.cause import ChangeGroup, change_groups
from quantroof.analysis.choice import BASELINE
from quantroof.analysis.comparison import RunComparison
from quantroof.analysis.health_matrix import FULL_SCALE, HealthMatrix, MatrixCell
from quantroof.analysis.layer_sums import layer_sums
from quantroof.analysis.verdicts import State
from quantroof.reports.cards import untrusted
from quantroof.reports.facts import outcome
from quantroof.reports.html import palette
from quantroof.reports.text.advice_words import headline


@dataclass(frozen=True, slots=True)
class Identity:
    """The subject of the page: the device, and where, when and with which suite it was measured."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One line of the trust strip; `kind` is a class of the style sheet."""

    kind: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Square:
    """One GPU of several: its state, its number, its largest change from the median, and both in words."""

    state: State
    label: str
    change: str
    words: str


@dataclass(frozen=True, slots=True)
class Step:
    """One M of the ribbon: who wins there, by CSS color and in words, and its speed-up over 16 bit."""

    m: int
    background: str
    speed_up: str
    words: str


@dataclass(frozen=True, slots=True)
class Group:
    """Cases with a similar change; `left` and `width` place the bar, in percent of the strip's width."""

    words: str
    change: str
    slower: bool
    left: float
    width: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The first screen except the cards."""

    squares: list[Square]
    ribbon: list[Step]
    ribbon_legend: list[tuple[str, str]]
    groups: list[Group]
    cause: str
    """Why cases changed; the groups before it are the bars."""
    serving: str | None
    chart: str


def identity(answers: Answers) -> Identity:
    """The devices by name and number, then node, date, suite and how many cases have a time."""
    names = dict.fromkeys(results.device.name for results in answers.devices)
    counts = [(sum(one.device.name == name for one in answers.devices), name) for name in names]
    first = answers.runs[0].info
    timed = sum(len(results.timed) for results in answers.devices)
    several = f"{len(answers.runs)} runs" if answers.runs[1:] else first.run_id
    parts = (first.host.name, _date(first.started_at), f"suite {first.suite}", f"{timed} timed", several)
    name = ", ".join(
        f"{count} \N{MULTIPLICATION SIGN} {name}" if count - 1 else name for count, name in counts
    )
    return Identity(name, " \N{MIDDLE DOT} ".join(part for part in parts if part))


def _date(text: str) -> str:
    """`20 Nov 2026 09:12`, or the text itself where it is not a date."""
    try:
        return f"{datetime.fromisoformat(text):%-d %b %Y %H:%M}"
    except ValueError:
        return text


def notices(answers: Answers) -> list[Notice]:
    """Warnings that a reader needs before any figure, the gravest first; one plain line if there are none."""
    lines = []
    if answers.simulated:
        text = "No device was measured: these figures come from a model and say nothing about real hardware."
        lines.append(Notice("simulated", "SIMULATED", text))
    lines += [
        Notice("untrusted", "Do not use:", text.removesuffix("; do not use"))
        if text.endswith("; do not use")
        else Notice("untrusted", "Unsteady:", text)
        for text in untrusted(answers)
    ]
    ends = [(run.info.run_id, end) for run in answers.runs if (end := outcome(run))]
    lines += [Notice("note", "Incomplete:", f"{run_id}: {end}") for run_id, end in ends]
    comparison = answers.comparison
    if comparison is not None and comparison.differences:
        title = f"Not the same set-up as {comparison.base_id}:"
        lines.append(Notice("note", title, "; ".join(comparison.differences)))
    return lines or [Notice("quiet", "", _trust(answers))]


def _trust(answers: Answers) -> str:
    trusts = [results.trust for results in answers.devices if results.timed]
    if not trusts:
        return "nothing was timed"
    parts = [f"{sum(t.timed for t in trusts)} measurements, {sum(t.disturbed for t in trusts)} disturbed"]
    widths = [t.median_width for t in trusts if t.median_width is not None]
    clocks = [clock for t in trusts if t.clock_mhz for clock in t.clock_mhz]
    parts += [f"95 % interval ±{units.percent(max(widths), 1)} in the median"] if widths else []
    parts += [f"SM clock {min(clocks):.0f} to {max(clocks):.0f} MHz"] if clocks else []
    return " \N{MIDDLE DOT} ".join(parts)


def summary(answers: Answers, matrix: HealthMatrix, first: int, advice: Advice | None) -> Summary:
    """Everything beside the cards; `first` is the device that the format card is about."""
    ribbon = _ribbon(answers, first)
    used = dict.fromkeys(name for names, _ in ribbon for name in names)
    return Summary(
        squares=[_square(row.label, row.verdict.state, row.cells) for row in matrix.rows]
        if matrix.rows[1:]
        else [],
        ribbon=[step for _, step in ribbon],
        ribbon_legend=[(name, palette.family(name)) for name in used],
        groups=_groups(answers.comparison),
        cause="" if answers.comparison is None else answers.comparison.summary.partition("; ")[2],
        serving=None if advice is None or advice.unusable is not None else _serving(advice),
        chart=answers.devices[first].label if answers.devices else "",
    )


def _serving(advice: Advice) -> str:
    """The answer for a served model; where only targets can decide, the tab that lists the options."""
    if advice.frontier[1:]:
        return f"{advice.model.id} on few or many GPUs, as your targets decide (tab Serve)."
    return headline(advice)


def _short(label: str) -> str:
    """`3` for cuda:3, `#3` for sim:NAME#3, whose first one has no number: a square has room for no more."""
    _, mark, number = label.partition("#")
    if mark:
        return f"#{number}"
    return "#0" if "sim:" in label else label.rpartition(":")[2]


def _square(label: str, state: State, cells: dict[str, MatrixCell]) -> Square:
    lowest = min(
        ((cell.change, name) for name, cell in cells.items() if cell.low and cell.change is not None),
        default=None,
    )
    change = "" if lowest is None else units.change(1 + lowest[0])
    words = f"{label}: {state}" + (f", {lowest[1]} {change} from the median" if lowest else "")
    return Square(state, _short(label), change, words)


def _ribbon(answers: Answers, first: int) -> list[tuple[tuple[str, ...], Step]]:
    steps = []
    for batch in layer_sums(answers.choices[first]) if answers.choices else []:
        leaders = batch.winner.leaders
        if not leaders:
            continue
        ratio = batch.sums[leaders[0]].speed_up
        gain = "" if ratio is None or leaders[0] == BASELINE else f"{ratio.median:.1f}\N{MULTIPLICATION SIGN}"
        over = f", {gain} {BASELINE}" if gain else ""
        words = f"M {batch.m}: {' = '.join(leaders)}{over}"
        steps.append((leaders, Step(batch.m, _stripes(leaders), gain, words)))
    return steps


def _stripes(names: Sequence[str]) -> str:
    """A CSS background: one color, or stripes of those that tie."""
    colors = list(dict.fromkeys(f"var(--{palette.family(name)})" for name in names))
    stops = ", ".join(f"{color} {6 * i}px {6 * (i + 1)}px" for i, color in enumerate(colors))
    return colors[0] if not colors[1:] else f"repeating-linear-gradient(45deg, {stops})"


def _groups(comparison: RunComparison | None) -> list[Group]:
    """A bar per group of cases that changed, to the left of the middle where faster; full at the largest."""
    if comparison is None or comparison.blocked is not None:
        return []
    groups = change_groups(comparison)
    most = max((abs(group.ratio - 1) for group in groups), default=0.0) or 1.0
    rows = []
    for group in groups:
        size = (group.ratio - 1) / max(most, FULL_SCALE) * 50
        change = units.change(group.ratio)
        rows.append(Group(_named(group), change, group.verdict == "slower", 50 + min(0.0, size), abs(size)))
    return rows


def _named(group: ChangeGroup) -> str:
    """The cases of a group; the change stands beside them."""
    return f"{group.what}, undecided" if group.verdict == "differs" else group.what
