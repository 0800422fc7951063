"""How a case is measured: the limits of a suite, with the user's options in their place."""

from __future__ import annotations

import msgspec

from quantroof.bench.suite import StoppingLimits
from quantroof.bench.timing.sampling import StoppingRule
from quantroof.kernels.calls.call import Call
from quantroof.records.run import Cache, Mode, RunOptions

SUSTAINED_S = 3.0
_SUSTAINED_MAX_SAMPLES = 10**6
"""Bounds memory only: a sample takes a millisecond or more."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a worker needs besides the case."""

    precision: float
    min_samples: int
    max_samples: int
    seconds_per_case: float
    quick_ceilings: bool = False
    cache: Cache = "cold"
    mode: Mode = "burst"
    eager: bool = False
    seed: int = 0
    case_timeout_s: float = 120.0
    kernels: tuple[str, ...] = ()
    calls: tuple[Call, ...] = ()

    def rule(self) -> StoppingRule:
        """When sampling of a case ends.

        Sustained lasts at least three seconds, however precise the median is before: heat and the power limit
        need that long to show.
        """
        if self.mode == "sustained":
            seconds = max(SUSTAINED_S, self.seconds_per_case)
            return StoppingRule(None, self.min_samples, _SUSTAINED_MAX_SAMPLES, seconds)
        return StoppingRule(self.precision, self.min_samples, self.max_samples, self.seconds_per_case)

    @classmethod
    def resolve(cls, limits: StoppingLimits, options: RunOptions, calls: tuple[Call, ...] = ()) -> Settings:
        """The suite's limits, replaced where the options say otherwise."""
        return cls(
            precision=options.precision or limits.precision,
            min_samples=limits.min_samples,
            max_samples=limits.max_samples,
            seconds_per_case=options.seconds_per_case or limits.seconds_per_case,
            quick_ceilings=limits.quick_ceilings,
            cache=options.cache,
            mode=options.mode,
            eager=options.eager,
            seed=options.seed,
            case_timeout_s=options.case_timeout_s,
            kernels=options.kernels,
            calls=calls,
        )
