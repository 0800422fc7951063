"""The change of a device's memory bandwidth during a run, judged with that of its siblings.

Bandwidths are measured at the start and at the end of a run. Where one moved, the machine changed its state
and the figures between cannot be used. Where it fell on one device and not on most siblings, that device is
worn or hot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quantroof import units
from quantroof.analysis.case_time import median_ns
from quantroof.analysis.verdicts import State
from quantroof.records.lines import TIMED, Ceiling

MOVED = 0.10
"""A bandwidth that changes by more during a run: the machine changed its state."""


@dataclass(frozen=True, slots=True)
class BandwidthChange:
    """The change of one bandwidth of a device from the start to the end of a run; -0.2 is 20 % less."""

    device: str
    name: str
    change: float

    @property
    def moved(self) -> bool:
        """Whether it changed by more than the noise of an undisturbed machine."""
        return abs(self.change) > MOVED

    @property
    def gain(self) -> float:
        """The change as a share of the slower speed: 0.25 for a fall by 20 %."""
        return max(1 + self.change, 1 / (1 + self.change)) - 1

    @property
    def words(self) -> str:
        """`the read ceiling fell 20 % during the run`."""
        verb = "fell" if self.change < 0 else "rose"
        return f"the {self.name} ceiling {verb} {units.percent(abs(self.change))} during the run"


def bandwidth_changes(ceilings: Iterable[Ceiling]) -> list[BandwidthChange]:
    """Every bandwidth that was measured at the start and at the end."""
    start: dict[tuple[str, str, str, int | None], float] = {}
    end: dict[tuple[str, str, str, int | None], float] = {}
    for ceiling in ceilings:
        if ceiling.status in TIMED and ceiling.timing is not None and ceiling.quantity == "bandwidth":
            key = (ceiling.device, ceiling.name, ceiling.kernel, ceiling.bytes_moved)
            (end if ceiling.moment == "end" else start)[key] = median_ns(ceiling.timing)
    return [BandwidthChange(key[0], key[1], start[key] / end[key] - 1) for key in start if key in end]


def largest(changes: Sequence[BandwidthChange]) -> BandwidthChange | None:
    """The change of the device: that by the largest factor in whole percent, the first of equal ones."""
    return max(changes, key=lambda one: round(one.gain, 2), default=None)


def state_beside(own: float, siblings: Sequence[float]) -> State:
    """The state of a device by the change of its bandwidth and those of its siblings.

    A fall that most siblings do not share is a defect of the device. Any other change leaves it unknown.
    """
    if abs(own) <= MOVED:
        return "ok"
    steady = sum(abs(change) <= MOVED for change in siblings)
    return "degraded" if own < 0 and steady * 2 > len(siblings) else "unknown"


def alone(words: str) -> str:
    """The words of a change, for a device that fell and whose siblings did not."""
    return f"{words}, most siblings' did not"
