"""The two scales of every verdict: states of devices, nodes and runs; changes between two measurements.

Reports, burn-in, fleet, comparison and gate take their words, their order and their exit codes from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from quantroof.errors import ExitCode
from quantroof.finding import Level

State = Literal["failed", "degraded", "unknown", "ok"]
STATES: tuple[State, ...] = ("failed", "degraded", "unknown", "ok")
"""The gravest first."""
Change = Literal["slower", "missing", "not comparable", "undecided", "new", "faster", "same"]
CHANGES: tuple[Change, ...] = ("slower", "missing", "not comparable", "undecided", "new", "faster", "same")
"""Worst first. `new` is a case that only the later measurement has: it is information, not a verdict."""
BY_DATASHEET = "by datasheet and self-report"
BY_ITSELF = f"{BY_DATASHEET}; no siblings"
"""Why a device without siblings is ok: its datasheet and its own counters speak for it."""
Tone = Literal["good", "bad", "unsure", "none"]
"""How an answer is to be read; `none` where nothing was asked."""

_TONES: dict[State, Tone] = {"failed": "bad", "degraded": "bad", "unknown": "unsure", "ok": "good"}
_BY_LEVEL: dict[Level, State] = {"failed": "failed", "degraded": "degraded", "unknown": "unknown"}
_EXIT_CODES: dict[State | Change, ExitCode] = {
    "failed": ExitCode.FINDING,
    "degraded": ExitCode.FINDING,
    "unknown": ExitCode.UNDECIDED,
    "ok": ExitCode.OK,
    "slower": ExitCode.FINDING,
    "missing": ExitCode.FINDING,
    "not comparable": ExitCode.UNDECIDED,
    "undecided": ExitCode.UNDECIDED,
    "new": ExitCode.OK,
    "faster": ExitCode.OK,
    "same": ExitCode.OK,
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state with its reason; None only where `ok` needs none."""

    state: State
    reason: str | None = None

    @property
    def words(self) -> str:
        """The state, and in brackets why a lone device is ok."""
        return f"{self.state} ({self.reason})" if self.state == "ok" and self.reason else self.state

    @property
    def tone(self) -> Tone:
        """How to read it."""
        return tone(self.state)

    @property
    def exit_code(self) -> ExitCode:
        """What a command that ends in this verdict exits with."""
        return exit_code(self.state)


def state_of(level: Level) -> State:
    """The state that a finding of this level puts a device in; notes and warnings leave it ok."""
    return _BY_LEVEL.get(level, "ok")


def gravest(states: Iterable[State]) -> State:
    """The gravest of several states; `unknown` where there is none."""
    return min(states, key=STATES.index, default="unknown")


def tone(state: State) -> Tone:
    """How to read a state."""
    return _TONES[state]


def exit_code(word: State | Change) -> ExitCode:
    """0 for ok, same and faster, 1 for what is worse, 4 for what is not decided."""
    return _EXIT_CODES[word]
