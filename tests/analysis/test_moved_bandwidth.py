"""A run whose bandwidth changed: its health is unknown, and only a large lead names a winner."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from quantroof.analysis.answers import answers
from quantroof.analysis.conclusions import conclude
from quantroof.analysis.layer_sums import layer_sums
from quantroof.analysis.run_verdict import run_verdict
from quantroof.analysis.speed import speed_ups
from quantroof.analysis.statistics import Interval
from quantroof.analysis.trust import trust_of
from quantroof.analysis.winner import Candidate, decide
from quantroof.records.directory import Run
from quantroof.records.lines import Ceiling
from quantroof.reports.cards import cards
from quantroof.reports.html.summary import notices
from tests.analysis.lines import exact
from tests.analysis.test_trust import loaded
from tests.builders import cpu_device, info, run, timing

CPU = cpu_device()


def _read(factor: float) -> list[Ceiling]:
    first = Ceiling(
        device=CPU.id, quantity="bandwidth", name="read", kernel="stream.read", status="ok",
        bytes_moved=1 << 28, timing=timing(1e7, spread=0.0),
    )  # fmt: skip
    return [first, replace(first, moment="end", timing=timing(1e7 * factor, spread=0.0))]


def _moved(int8_ns: float, factor: float = 1.2, cores: float = 0.0) -> Run:
    """bf16 in 2 ms beside int8, and a read that takes `factor` as long at the end."""
    lines = [exact(CPU, "bf16", 2e6), exact(CPU, "int8-w8a16", int8_ns)]
    return run(info([CPU]), [*_read(factor), *(loaded(line, cores) if cores else line for line in lines)])


@pytest.mark.parametrize(("low", "leaders"), [(15.39, ("a", "b")), (15.41, ("a",))])
def test_a_lead_counts_from_its_margin_on(low: float, leaders: tuple[str, ...]) -> None:
    """To lead 9 to 11 by 40 % of its slow side, another must begin above 15.4."""
    times = {"a": Candidate(Interval(10, 9, 11, 20)), "b": Candidate(Interval(16, low, 17, 20))}

    assert decide(times, 0.4).leaders == leaders


@pytest.mark.parametrize("factor", [1.2, 1 / 1.2])
def test_the_margin_is_twice_the_change(factor: float) -> None:
    """A read that became 20 % slower or faster may have been 40 % off; a steady one has no margin."""
    assert trust_of([exact(CPU, "bf16", 1e6)], _read(factor)).lead_by == pytest.approx(0.4)
    assert trust_of([exact(CPU, "bf16", 1e6)], _read(1.05)).lead_by == 0.0


def test_no_lead_counts_beside_other_processes() -> None:
    """Foreign load and a changed bandwidth together: nothing may win, however large its lead."""
    built = _moved(1e5, cores=1.5)

    assert trust_of(built.measurements, built.ceilings).lead_by is None
    assert conclude(answers([built])).formats.leads == ()


@pytest.mark.parametrize(("int8_ns", "leaders"), [(1.3e6, ("int8-w8a16",)), (1.6e6, ("int8-w8a16", "bf16"))])
def test_a_format_leads_by_more_than_the_change_explains(int8_ns: float, leaders: tuple[str, ...]) -> None:
    """At 20 % change, 1.54 times as fast wins and 1.25 times ties, on the card and in every table."""
    found = answers([_moved(int8_ns)])
    answer = conclude(found).formats
    (choice,) = found.choices[0]
    (batch,) = layer_sums([choice])

    assert answer.leads[0].leaders == leaders
    assert answer.tone == ("unsure" if leaders[1:] else "good")
    assert choice.batches[0].winner.leaders == batch.winner.leaders == leaders


def test_a_changed_bandwidth_gives_no_speed_up_and_no_verdict() -> None:
    """The ratio of two times is as unsure as they are, the run is unknown, and card and page say why."""
    built = _moved(1e6)
    found = answers([built])
    (_, formats, _) = cards(found)
    why = "the read ceiling fell 17 % during the run; only leads of more than 40 % count"

    assert run_verdict(built).state == "unknown"
    assert speed_ups(found.choices[0]) == []
    assert formats.facts == ("int8-w8a16 wins at M = 8", why)
    assert [(one.title, one.text.rpartition(": ")[2]) for one in notices(found)] == [("Unsteady:", why)]
