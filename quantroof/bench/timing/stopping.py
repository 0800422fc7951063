"""When to stop sampling: precise enough, enough samples, or out of time. The reason is recorded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.analysis.statistics import median_interval
from quantroof.records.lines import StoppedBy


@dataclass(frozen=True, slots=True)
class StoppingRule:
    """Stop when the 95 % interval of the median is narrow: half-width below `precision` of the median.

    Never before `min_samples`, and not after `max_samples` or `seconds`.
    """

    precision: float
    min_samples: int
    max_samples: int
    seconds: float

    def verdict(self, samples_ns: Sequence[float], elapsed_s: float) -> StoppedBy | None:
        """Why sampling ends now, or None to go on."""
        if not samples_ns:
            return None
        enough = len(samples_ns) >= self.min_samples
        if enough and median_interval(samples_ns).relative_half_width <= self.precision:
            return "precision"
        if len(samples_ns) >= self.max_samples:
            return "max_samples"
        return "wall" if elapsed_s >= self.seconds else None
