"""What the advisor answers, as typed records that the command line and the report show."""

from __future__ import annotations

from typing import Literal

import msgspec

from quantroof.advisor.cost import Price
from quantroof.advisor.crossover import Crossing, SpeedUp
from quantroof.advisor.estimate import Estimate, Source
from quantroof.advisor.linear_time import Assumptions
from quantroof.advisor.machine import Machine, Rate
from quantroof.advisor.memory import MemoryFit, Reserve
from quantroof.advisor.models import Model
from quantroof.advisor.steady_load import SteadyLoad
from quantroof.advisor.step import Step

Fit = Literal["meets", "likely", "misses", "unknown"]
"""`meets` where the whole band meets the targets, `likely` where the estimate does, else `misses`; `unknown`
where the measurements behind it may not be used."""
FITTING: tuple[Fit, ...] = ("meets", "likely")


class AdviceOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the user asked for. A target of None was not set; tokens are generated tokens."""

    context: int
    latency_s: float | None = None
    first_token_s: float | None = None
    tokens_per_day: float | None = None
    formats: tuple[str, ...] = ()
    """Formats to compare; none stands for those that the checkpoint and the GPU propose."""
    gpu_counts: tuple[int, ...] = (1, 2, 4, 8)
    output: int | None = None
    """Tokens that a request generates of its context; a quarter of it unless stated."""
    kv: str = "fp16"
    kv_choices: tuple[str, ...] = ()
    """Cache formats to try, `kv` alone unless stated."""
    max_batch: int = 1024
    reserve: Reserve = Reserve()
    assumptions: Assumptions = Assumptions()

    @property
    def output_tokens(self) -> int:
        """Tokens that a request generates; the others of its context are its prompt."""
        return self.output or max(1, self.context // 4)

    @property
    def has_targets(self) -> bool:
        """Whether anything was asked for that decides between options."""
        return (self.latency_s, self.first_token_s, self.tokens_per_day) != (None, None, None)

    @property
    def tokens_per_s(self) -> float | None:
        """The average rate that the daily tokens need."""
        return None if self.tokens_per_day is None else self.tokens_per_day / 86400


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One format on a number of GPUs. `batch` is the largest that memory and targets allow.

    `replicas` such groups of GPUs serve the daily tokens; `reasons` say why it is rejected.
    """

    format: str
    kv: str = "fp16"
    gpus: int
    verdict: Fit
    reasons: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    memory: MemoryFit
    batch: int | None = None
    decode: Step | None = None
    single: Estimate | None = None
    """A step of a single sequence: the shortest time per token."""
    prefill: Step | None = None
    load: SteadyLoad | None = None
    """What requests see when that many are served at once, with the prompts of the others."""
    tokens_per_s: float | None = None
    replicas: int | None = None
    load_batch: int | None = None
    usd_per_month: float | None = None
    usd_per_million_tokens: float | None = None
    joules_per_token: float | None = None

    @property
    def total_gpus(self) -> int | None:
        """GPUs of all replicas."""
        return None if self.replicas is None else self.gpus * self.replicas


class FormatOnGpu(msgspec.Struct, frozen=True, kw_only=True):
    """What a format is on this GPU, before any model: bits, rate, and the batches where it changes sides."""

    format: str
    bits_per_weight: float
    computes_in: str
    rate: Rate | None
    ridge_batch: float | None
    crossing: Crossing | None = None
    speed_up: SpeedUp | None = None
    measured_shape: tuple[int, int] | None = None


class CurvePoint(msgspec.Struct, frozen=True, kw_only=True):
    """Latency of a decode step, in seconds with its band. `source` is that of most linear layers' time."""

    batch: int
    seconds: float
    low: float
    high: float
    source: Source
    sources: str


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Latency against batch of one format on the fewest GPUs that hold it, as far as memory allows."""

    format: str
    gpus: int
    points: tuple[CurvePoint, ...]


class Advice(msgspec.Struct, frozen=True, kw_only=True):
    """The whole answer. `options` are ranked; `best` is the index of the first that fits every target.

    Without targets `best` is None, and `frontier` has the first option of each GPU count that pays.
    """

    request: AdviceOptions
    model: Model
    machine: Machine
    options: tuple[Option, ...]
    best: int | None
    frontier: tuple[int, ...] = ()
    refusal: str | None
    formats: tuple[FormatOnGpu, ...]
    curves: tuple[Curve, ...]
    price: Price | None = None
    remarks: tuple[str, ...] = ()
    unusable: str | None = None
    """Why the run's measurements may not be used; nothing is recommended then."""

    @property
    def choice(self) -> Option | None:
        """The option that is recommended."""
        return None if self.best is None else self.options[self.best]

    @property
    def shown(self) -> Option | None:
        """The option to explain: the best, else the first of the frontier, else the first timed one."""
        if self.choice is not None:
            return self.choice
        if self.frontier:
            return self.options[self.frontier[0]]
        return next((option for option in self.options if option.decode is not None), None)
