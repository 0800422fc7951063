"""How a case is measured: the limits of a suite with the command line's wishes on top."""

from __future__ import annotations

import msgspec

from quantroof.bench.suite import Limits
from quantroof.bench.timing.stopping import StoppingRule
from quantroof.records.lines import Cache, Mode

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
    def resolve(cls, limits: Limits, wishes: Wishes) -> Settings:
        """The suite's limits, replaced where the command line wished otherwise."""
        return cls(
            precision=wishes.precision or limits.precision,
            min_samples=limits.min_samples,
            max_samples=limits.max_samples,
            seconds_per_case=wishes.seconds_per_case or limits.seconds_per_case,
            quick_ceilings=limits.quick_ceilings,
            cache=wishes.cache,
            mode=wishes.mode,
            eager=wishes.eager,
            seed=wishes.seed,
            case_timeout_s=wishes.case_timeout_s,
            kernels=wishes.kernels,
        )


class Wishes(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line asks for; None leaves it to the suite. Stored in the run for --resume."""

    suite: str = "default"
    devices: tuple[str, ...] = ()
    formats: tuple[str, ...] | None = None
    providers: tuple[str, ...] | None = None
    precision: float | None = None
    seconds_per_case: float | None = None
    cache: Cache = "cold"
    mode: Mode = "burst"
    eager: bool = False
    """Time calls with their launches, as a program without CUDA graphs pays them."""
    processes: int = 1
    serial: bool = False
    seed: int = 0
    case_timeout_s: float = 120.0
    ceilings: bool = True
    anchors: bool = False
    """Time the anchors at the start and the end of every process, as a gate wants."""
    kernels: tuple[str, ...] = ()
    """External kernels as `path.py:NAME`."""
