"""Predict published points, and the advisor's error against them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import msgspec

from quantroof.advisor.bands import Kind, Regime, band_of, regime_of
from quantroof.advisor.caveats import cannot_run
from quantroof.advisor.choices import CHOICES, choice, kv_format
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.machine import Machine, from_profile
from quantroof.advisor.memory import Reserve, memory_fit
from quantroof.advisor.model_lookup import model
from quantroof.advisor.models import Model
from quantroof.advisor.points import Point
from quantroof.advisor.steady_load import SteadyLoad, steady_load
from quantroof.advisor.step import prefill
from quantroof.advisor.timings import TimingTable
from quantroof.errors import QuantroofError, UsageError
from quantroof.hwprofiles import catalog
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import Scheme

Shown = Literal["pure decode", "served", "one stream", "batch", "maximum load", "first token"]
# Names of formats in points files, where they are not this project's.
_NAMES = {"fp8-block": "fp8-block-w8a8", "nvfp4": "nvfp4-w4a4", "mxfp4": "mxfp4-w4a16"}
# Others' prefills below this share make a point one of pure decode.
_PURE_SHARE = 0.02
_MOST_SEQUENCES = 2048  # what an engine takes at once, where memory holds more


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """A point and its prediction, both as seconds per token or to the first, with the stated band."""

    point: Point
    shown: Shown
    kind: Kind
    regime: Regime
    experts: bool
    measured_s: float
    predicted_s: float
    low_s: float
    high_s: float

    @property
    def error(self) -> float:
        """|predicted / measured - 1|."""
        return abs(self.predicted_s / self.measured_s - 1)

    @property
    def inside(self) -> bool:
        """Whether the stated band holds the measured time."""
        return self.low_s <= self.measured_s <= self.high_s

    @property
    def width(self) -> float:
        """High over low of the band."""
        return self.high_s / self.low_s


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A point that cannot be predicted, and why."""

    point: Point
    reason: str


@dataclass(frozen=True)
class Checker:
    """Predicts points; deployments that several points share are set up once."""

    table: TimingTable = field(default_factory=TimingTable)
    machine: Machine | None = None
    """The machine of a run whose times `table` has; points of other GPUs are refused."""
    _loads: dict[tuple[object, ...], SteadyLoad] = field(default_factory=dict)

    def check(self, points: Iterable[Point]) -> tuple[list[Checked], list[Refused]]:
        """Every point, predicted or refused with the reason."""
        checked: list[Checked] = []
        refused: list[Refused] = []
        for point in points:
            try:
                checked.append(self._predict(point))
            except QuantroofError as error:
                refused.append(Refused(point=point, reason=str(error)))
        return checked, refused

    def _predict(self, point: Point) -> Checked:
        architecture, scheme, kv = _asked(point)
        machine = self.machine or machine_of(point.gpu)
        if machine.id != point.gpu:
            raise UsageError(f"the run is of {machine.id}, not of {point.gpu}")
        missing = cannot_run(scheme, machine)
        if missing is None and point.tp > 1 and machine.link is None:
            missing = f"no link between GPUs is known for {machine.id}"
        if missing is not None:
            raise UsageError(missing)
        timer = Timer(machine, self.table, Assumptions())
        batch = point.concurrency or _held(point, architecture, scheme, kv, machine)
        load = self._load(point, architecture, scheme, kv, batch, timer)
        shown, kind = _kind(point, load)
        predicted, measured = _times(point, load, architecture, scheme, kv, timer)
        parts = load.prompt_share, load.decode.total.seconds
        low, high = band_of(kind, architecture.moe is not None, *parts)
        return Checked(
            point=point,
            shown=shown,
            kind=kind,
            regime=regime_of(kind, *parts),
            experts=architecture.moe is not None,
            measured_s=measured,
            predicted_s=predicted,
            low_s=predicted * low,
            high_s=predicted * high,
        )

    def _load(
        self, point: Point, architecture: Model, scheme: Scheme, kv: Format, batch: int, timer: Timer
    ) -> SteadyLoad:
        key = (point.model, point.gpu, scheme.name, point.fp8_cache, point.tp, point.isl, point.osl, batch)
        if key not in self._loads:
            self._loads[key] = steady_load(
                architecture,
                scheme,
                kv,
                batch=batch,
                prompt=point.isl,
                output=point.osl,
                ways=point.tp,
                timer=timer,
            )
        return self._loads[key]


def _asked(point: Point) -> tuple[Model, Scheme, Format]:
    """Model, scheme and cache of a point. TensorRT-LLM's fp8 checkpoints have static scales."""
    name = _NAMES.get(point.format, point.format)
    if name == "fp8-w8a8" and point.engine == "trtllm" and "fp8-w8a8-static" in CHOICES:
        name = "fp8-w8a8-static"
    return model(point.model), choice(name), kv_format("fp8" if point.fp8_cache else "fp16")


@lru_cache(maxsize=64)
def machine_of(gpu: str) -> Machine:
    """The machine of a profile. UsageError for an unknown one."""
    profiles = catalog.profiles()
    if gpu not in profiles:
        raise catalog.unknown_gpu(gpu)
    return from_profile(profiles[gpu])


def _held(point: Point, architecture: Model, scheme: Scheme, kv: Format, machine: Machine) -> int:
    """The batch that memory holds, for a point with everything queued."""
    fit = memory_fit(
        architecture, scheme, kv, point.isl + point.osl, machine.memory_bytes, point.tp, Reserve()
    )
    return max(1, min(fit.sequences, _MOST_SEQUENCES))


def _kind(point: Point, load: SteadyLoad) -> tuple[Shown, Kind]:
    if point.metric == "first_token_ms":
        return "first token", "first token" if load.batch == 1 else "first token under load"
    if point.metric == "max_tok_s":
        return "maximum load", "per token"
    if point.metric in ("decode_tok_s", "static_tok_s_gpu") and load.batch > 1:
        return "batch", "per token"
    if load.batch == 1:
        return "one stream", "per token"
    return ("pure decode" if load.prompt_share < _PURE_SHARE else "served"), "per token"


def _times(
    point: Point, load: SteadyLoad, architecture: Model, scheme: Scheme, kv: Format, timer: Timer
) -> tuple[float, float]:
    """Predicted and measured seconds of one kind: to the first token, or between two tokens of a request."""
    if point.metric == "first_token_ms":
        return load.loaded_first_token.seconds, point.value / 1e3
    if point.metric == "tpot_ms":
        return load.per_token.seconds, point.value / 1e3
    if point.metric == "decode_tok_s":
        return load.decode.total.seconds, load.batch / point.value
    if point.metric == "static_tok_s_gpu":
        prompts = prefill(
            architecture, scheme, kv, batch=load.batch, context=point.isl, ways=point.tp, timer=timer
        )
        per_token = prompts.total.seconds / point.osl + load.decode.total.seconds
        return per_token, load.batch / (point.value * point.tp)
    return load.per_token.seconds, load.batch / point.value
