"""Times of decode attention, of layers of experts and of all-reduces that a run holds, and what lies between.

Times are log-linear between the sizes that were timed. Beyond the largest they grow in proportion, because
there the bytes decide; below the smallest they are those of the smallest, because there the start decides.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from quantroof.advisor.interpolation import KernelTime, at_batch
from quantroof.analysis.case_time import case_time, median_ns
from quantroof.kernels.attention.case import Attention
from quantroof.kernels.cases import AttentionCase, CallCase
from quantroof.kernels.schemes import Scheme
from quantroof.records.lines import HAVE_TIMES, Ceiling, Measurement

_ALL_REDUCE = "all_reduce/"
# An all-reduce of so many bytes takes what an empty one takes.
SMALL_REDUCE = 64 << 10
_EXPERTS = "experts-"


class AttentionKey(NamedTuple):
    """A KV-cache format (`bf16-kv`) and the heads on one GPU."""

    cache: str
    shape: Attention


class ExpertsKey(NamedTuple):
    """The format of the weights, the sizes of a layer of experts, and the GPUs that it is cut for.

    What the weights are multiplied in is the kernel's choice: of several kernels the fastest counts.
    """

    weights: str
    hidden: int
    width: int
    per_token: int
    experts: int
    ways: int


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """What was timed, by kind. In a KernelTime `m` is the context, the tokens or the payload in bytes."""

    attention: dict[AttentionKey, dict[int, list[KernelTime]]] = field(default_factory=dict)
    """Batch -> points by rising context."""
    experts: dict[ExpertsKey, list[KernelTime]] = field(default_factory=dict)
    reduces: dict[int, list[KernelTime]] = field(default_factory=dict)
    """Count of GPUs -> points by rising payload."""

    def attention_time(self, key: AttentionKey, batch: int, context: int) -> KernelTime | None:
        """One layer's decode attention, None where no batch of these heads was timed."""
        batches = self.attention.get(key, {})
        rows = [replace(at, m=own) for own in sorted(batches) if (at := _between(batches[own], context))]
        return _between(rows, batch)

    def experts_time(self, key: ExpertsKey, tokens: int) -> KernelTime | None:
        """One layer of experts with its router, None where the layer was not timed."""
        return _between(self.experts.get(key, []), tokens)

    def reduce_time(self, ways: int, payload: float) -> KernelTime | None:
        """One all-reduce of a payload per GPU, None where so many GPUs, or so few bytes, were not timed."""
        points = self.reduces.get(ways, [])
        if not points or payload < points[0].m > SMALL_REDUCE:
            return None
        return _between(points, max(1, round(payload)))


def _between(points: list[KernelTime], size: int) -> KernelTime | None:
    """The time at a size, with the relative interval of the nearest smaller point."""
    if not points:
        return None
    own = max((p for p in points if p.m <= size), key=lambda p: p.m, default=points[0])
    value = at_batch(points, max(size, points[0].m))
    assert value is not None, "a size of at least the smallest is covered"
    seconds = value[0]
    grown = seconds / own.seconds
    return replace(own, seconds=seconds, low=own.low * grown, high=own.high * grown)


def experts_call(key: ExpertsKey, tokens: int, scheme: Scheme) -> CallCase:
    """A layer of experts as a case: its bytes are the weights that one token needs at least, once.

    Block-scaled elements cannot stand alone in a call: such a layer has bytes, and no operations.
    """
    axes = (("tokens", tokens), *zip(ExpertsKey._fields[1:], key[1:], strict=True))
    alone = scheme.compute.block is None
    flops = 6 * tokens * key.per_token * key.hidden * key.width // key.ways if alone else 0
    weights = key.per_token * 3 * scheme.weight.storage_bytes(max(1, key.width // key.ways), key.hidden)
    element = scheme.compute.name if alone else "bf16"
    return CallCase.of(f"{_EXPERTS}{key.weights}", element, axes, flops, weights)


def layer_times(measurements: Iterable[Measurement], ceilings: Iterable[Ceiling], device: str) -> LayerTimes:
    """The tables of one device; of several kernels of one case the fastest counts."""
    attention: dict[AttentionKey, dict[int, dict[int, KernelTime]]] = defaultdict(lambda: defaultdict(dict))
    experts: dict[ExpertsKey, dict[int, KernelTime]] = defaultdict(dict)
    reduces: dict[int, dict[int, KernelTime]] = defaultdict(dict)
    for line in measurements:
        if line.device != device or line.status not in HAVE_TIMES or line.timing is None:
            continue
        case = line.parsed_case
        if isinstance(case, AttentionCase):
            own = attention[AttentionKey(case.scheme, case.shape)][case.m]
            _keep(own, _timed(line, case.context))
        elif isinstance(case, CallCase) and case.call.startswith(_EXPERTS):
            sizes = dict(case.axes)
            key = ExpertsKey(
                case.call.removeprefix(_EXPERTS), *(sizes[name] for name in ExpertsKey._fields[1:])
            )
            _keep(experts[key], _timed(line, sizes["tokens"]))
    for ceiling in ceilings:
        if ceiling.name.startswith(_ALL_REDUCE) and ceiling.timing is not None and ceiling.bytes_moved:
            devices = ceiling.name.removeprefix(_ALL_REDUCE).split("+")
            if device in devices:
                _keep(reduces[len(devices)], _reduced(ceiling, len(devices)))
    return LayerTimes(
        {key: {batch: _sorted(by) for batch, by in grid.items()} for key, grid in attention.items()},
        {key: _sorted(by) for key, by in experts.items()},
        {ways: _sorted(by) for ways, by in reduces.items()},
    )


def _keep(fastest: dict[int, KernelTime], timed: KernelTime) -> None:
    if timed.m not in fastest or timed.seconds < fastest[timed.m].seconds:
        fastest[timed.m] = timed


def _sorted(by_size: dict[int, KernelTime]) -> list[KernelTime]:
    return [by_size[size] for size in sorted(by_size)]


def _timed(line: Measurement, size: int) -> KernelTime:
    time = case_time([line])
    assert time is not None, "lines without a timing are left out before"
    seconds, low, high = (ns / 1e9 for ns in (time.interval.median, time.interval.low, time.interval.high))
    return KernelTime(size, seconds, low, high, line.kernel)


def _reduced(ceiling: Ceiling, ways: int) -> KernelTime:
    assert ceiling.timing is not None, "checked before"
    assert ceiling.bytes_moved is not None, "checked before"
    seconds, spread = median_ns(ceiling.timing) / 1e9, ceiling.timing.spread or 0.0
    payload = round(ceiling.bytes_moved * ways / (2 * (ways - 1)))
    return KernelTime(payload, seconds, seconds * (1 - spread), seconds * (1 + spread), ceiling.kernel)
