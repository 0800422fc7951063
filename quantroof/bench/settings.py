"""How a case is measured: the limits of a suite, replaced where the user asked for something else."""

from __future__ import annotations

import msgspec

from quantroof.bench.suite import Limits
from quantroof.bench.timing.sampling import StoppingRule
from quantroof.records.run import Cache, Mode, RunOptions

SUSTAINED_S = 3.0


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker needs to know besides the case."""

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

    def rule(self) -> StoppingRule:
        """When sampling of a case ends. Sustained measures for three seconds at least."""
        if self.mode == "sustained":
            seconds = max(SUSTAINED_S, self.seconds_per_case)
            return StoppingRule(0.0, self.min_samples, 10**6, seconds)
        return StoppingRule(self.precision, self.min_samples, self.max_samples, self.seconds_per_case)

    @classmethod
    def resolve(cls, limits: Limits, options: RunOptions) -> Settings:
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
        )
