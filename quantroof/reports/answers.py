"""Everything a report says, judged before it is laid out: shared by HTML, Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.records.directory import Run
from quantroof.reports.cards import Card, change_card, format_card, health_card
from quantroof.reports.choice import LayerChoice, layer_choices
from quantroof.reports.comparison import RunComparison, compare
from quantroof.reports.health import Health, judge_health
from quantroof.reports.palette import ordered
from quantroof.reports.subjects import Subject, subjects


@dataclass(frozen=True, slots=True)
class Answers:
    """Runs, their devices, and the three answers; `choices` holds the layers of every subject in order."""

    runs: list[Run]
    subjects: list[Subject]
    health: Health
    choices: list[list[LayerChoice]]
    comparison: RunComparison | None
    cards: tuple[Card, ...]

    @property
    def simulated(self) -> bool:
        """True where any run is simulated."""
        return any(run.info.simulated for run in self.runs)

    @property
    def timed(self) -> list[tuple[Subject, list[LayerChoice]]]:
        """Every device with the choice of its layers."""
        return list(zip(self.subjects, self.choices, strict=True))


def answers(runs: Sequence[Run], baseline: Run | None = None) -> Answers:
    """Judge the runs. With a baseline, the first run is compared with it."""
    found = subjects(list(runs))
    order = ordered({p.scheme for subject in found for p in subject.points})
    choices = [layer_choices(subject, order) for subject in found]
    comparison = None
    if baseline is not None:
        now = [subject for subject in found if subject.run is runs[0]]
        comparison = compare(subjects([baseline]), now)
    health = judge_health(found)
    layers, label = next(((own, s.label) for own, s in zip(choices, found, strict=True) if own), ([], None))
    by_format = format_card(layers, label if len(found) > 1 else None)
    cards = (health_card(health), by_format, change_card(comparison))
    return Answers(list(runs), found, health, choices, comparison, cards)
