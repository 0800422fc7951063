"""Sampling a case: settle the device, then time blocks until they are precise enough or time is up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median

from quantroof.analysis.statistics import effective_count_by_sides, median_interval, resolution, trend
from quantroof.bench.clock import now_s
from quantroof.bench.timing.timer import Timer
from quantroof.hwprofiles.types import Processor
from quantroof.records.lines import StoppedBy
from quantroof.records.run import Mode

# An idle GPU needs tens of milliseconds of load to leave its lowest clock; under load, power and clocks
# oscillate for about 3 s before they settle (CUTLASS's measurement guidelines; seen on an H200 too).
SETTLE_S: dict[Processor, dict[Mode, float]] = {
    "gpu": {"burst": 0.05, "sustained": 3.0},
    "cpu": {"burst": 0.0, "sustained": 1.0},
}


_LOOK_AGAIN = 1.25
"""Growth of the samples from look to look: looking after every sample would stop at a lucky one."""
_LEAST_EFFECTIVE = 8.0
"""Independent samples, or what correlated ones are worth; fewer have not seen how far the time wanders."""
_TREND_ERRORS = 1.96


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """Stop when the 95 % interval of the median is narrow: half-width below `precision` of the median.

    Never for precision before `min_samples`, which are three or more, or where `precision` is None; never
    later than `max_samples` or `seconds`. Samples that all tie, drift or hardly vary independently are not
    precise, however narrow their interval.
    """

    precision: float | None
    min_samples: int
    max_samples: int
    seconds: float

    def stopped_by(self, samples_ns: Sequence[float], elapsed_s: float, new: int = 1) -> StoppedBy | None:
        """Why sampling ends now, None to continue; `new` samples have come since the last question."""
        if not samples_ns:
            return None
        if self._looks(len(samples_ns), new) and self._precise(samples_ns):
            return "precision"
        if len(samples_ns) >= self.max_samples:
            return "max_samples"
        return "wall" if elapsed_s >= self.seconds else None

    def _looks(self, samples: int, new: int) -> bool:
        """Whether one of the last `new` samples is one to look at the precision after."""
        look = float(self.min_samples)
        while look <= samples - new:
            look = max(look + 1, look * _LOOK_AGAIN)
        return look <= samples

    def _precise(self, samples_ns: Sequence[float]) -> bool:
        if self.precision is None:
            return False
        interval = median_interval(samples_ns)
        allowed = self.precision * interval.median
        half_width = max((interval.high - interval.low) / 2, resolution(samples_ns) / 2)
        worth = min(_LEAST_EFFECTIVE, len(samples_ns) / 2)
        if half_width > allowed or effective_count_by_sides(samples_ns) < worth:
            return False
        third = len(samples_ns) // 3
        moved = abs(median(samples_ns[-third:]) - median(samples_ns[:third]))
        return moved <= allowed / 2 or abs(trend(samples_ns)) <= _TREND_ERRORS


def settle(timer: Timer, seconds: float, clock_s: Callable[[], float] = now_s) -> None:
    """Run the case unrecorded for this long: a burst needs its clock up, sustained its power settled.

    A call that takes longer than that has settled the device by its warm-up.
    """
    if timer.batch_s >= seconds:
        return
    start = clock_s()
    while clock_s() - start < seconds:
        timer.samples()


def sample(
    timer: Timer,
    rule: StoppingRule,
    clock_s: Callable[[], float] = now_s,
    after_sample: Callable[[int, Timer], bool] | None = None,
) -> tuple[tuple[float, ...], StoppedBy]:
    """Nanoseconds per call of every block in order, none removed, and what ended the sampling.

    `after_sample` is called with the number of every batch, from 0; the samples exclude the time it takes.
    While it returns True, sampling goes on.
    """
    samples: list[float] = []
    start = clock_s()
    batches = count()
    while True:
        samples += (batch := timer.samples())
        more = after_sample is not None and after_sample(next(batches), timer)
        if (reason := rule.stopped_by(samples, clock_s() - start, len(batch))) and not more:
            return tuple(samples), reason
