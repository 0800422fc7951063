"""The self-test's questions to a GPU, with stand-ins for NVML, torch's events and the clock kernel."""

from __future__ import annotations

import os
from typing import Any

import pytest
import torch

from quantroof.bench.selftest import checks
from quantroof.bench.state import device_clock
from quantroof.hwprofiles import nvml
from tests.hwprofiles.boards import h200

MHZ, SMS = 1980, 132


class StandInBoard:
    """Answers every question."""

    pids: tuple[int, ...] = ()

    def reading(self) -> str:
        """Clocks."""
        return "clocks"

    def counters(self, *, processes: bool) -> str:
        """Energy."""
        return f"energy {processes}"

    def xids(self) -> tuple[int, ...]:
        """None."""
        return ()

    def health(self) -> nvml.BoardHealth:
        """The processes on the board."""
        return nvml.BoardHealth(process_ids=self.pids)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> StandInBoard:
    """A board behind every UUID, and a context on a CPU."""
    one = StandInBoard()
    monkeypatch.setattr(nvml.Board, "open", lambda *_: one)
    monkeypatch.setattr(torch, "zeros", lambda *_, **__: None)
    return one


def _state(name: str) -> dict[str, Any]:
    (check,) = (one for one in checks.checks("state", h200(), ()) if one.name == name)
    return check.run()


@pytest.mark.parametrize("name", ["NVML reading", "NVML counters", "NVML XIDs"])
def test_every_question_to_nvml_has_its_time(board: StandInBoard, name: str) -> None:
    """Asked twice: the first question opens what the second finds open."""
    seen = _state(name)

    assert isinstance(seen["us"], int)
    assert seen["answer"] in ("'clocks'", "'energy True'", "()")


@pytest.mark.parametrize("own", [True, False])
def test_it_says_whether_nvml_lists_this_process(board: StandInBoard, own: bool) -> None:
    """In a container it may not: one foreign process would then be taken for our own."""
    board.pids = (1, os.getpid()) if own else (1,)

    assert _state("NVML processes")["own_is_listed"] is own


def test_a_board_that_nvml_does_not_know_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU without NVML is measured, but its clocks and faults would stay unknown."""
    monkeypatch.setattr(nvml.Board, "open", lambda *_: None)
    with pytest.raises(RuntimeError, match="no board with this UUID"):
        _state("NVML reading")


class Event:
    """Records nothing; the time between two follows from the spin."""

    def __init__(self, **_: object) -> None:
        pass

    def record(self) -> None:
        """Recorded."""

    def elapsed_time(self, _: Event) -> float:
        """Milliseconds of the last spin."""
        return Event.cycles / MHZ / 1e3

    cycles = 0


class Clock:
    """Stamps of SMs, of which one may stand still while it has no work."""

    idle_mhz = MHZ

    def __init__(self, sm_count: int) -> None:
        self._sms = sm_count

    def start(self) -> None:
        """Forgets."""

    def begin(self) -> None:
        """Stamped."""

    def end(self) -> None:
        """Stamped."""

    def stamps(self) -> list[Any]:
        """[batch][begin/end][SM][ns, cycles]."""
        ns = Event.cycles * 1000 // MHZ
        ends = [[1 + ns, ns * (self.idle_mhz if sm == 0 else MHZ) // 1000] for sm in range(self._sms)]
        return [[[[1, 0]] * self._sms, ends]]


@pytest.mark.parametrize(("idle_mhz", "agrees"), [(MHZ, True), (MHZ * 0.99, True), (MHZ * 0.9, False)])
def test_idle_multiprocessors_must_show_the_clock_of_the_busy_one(
    monkeypatch: pytest.MonkeyPatch, idle_mhz: float, agrees: bool
) -> None:
    """The clock of a case is the median over all of them: where idle ones are gated, it would be false."""
    monkeypatch.setattr(device_clock, "DeviceClock", Clock)
    monkeypatch.setattr(Clock, "idle_mhz", idle_mhz)
    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "_sleep", lambda cycles: setattr(Event, "cycles", cycles))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    if agrees:
        assert _state("device clock")["20000000 cycles"]["sms"] == SMS
    else:
        with pytest.raises(AssertionError, match="the SMs' clocks differ from cycles / event time by 10"):
            _state("device clock")
