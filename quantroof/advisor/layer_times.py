"""Times of decode attention, layers of experts and all-reduces in a run, interpolated between timed sizes.

Times are log-linear between the sizes that were timed. Beyond the largest size they grow in proportion,
because bytes dominate there; below the smallest size they are constant, because the launch dominates there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

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
_ATTENTION, _EXPERTS_CALL = "decode_attention/", f"call/{_EXPERTS}"

K = TypeVar("K")
V = TypeVar("V")


class AttentionKey(NamedTuple):
    """A KV-cache format (`bf16-kv`) and the heads on one GPU."""

    cache: str
    shape: Attention


class ExpertsKey(NamedTuple):
    """The format of the weights, the sizes of a layer of experts, and the GPUs that it is cut for.

    The kernel determines the element of the multiplication; of several kernels the fastest counts.
    """

    weights: str
    hidden: int
    width: int
    per_token: int
    experts: int
    ways: int


@dataclass(frozen=True, slots=True)
class LayerTimes:
    """The timed points by kind. In a KernelTime `m` is the context, the tokens or the payload in bytes."""

    attention: dict[AttentionKey, dict[int, list[KernelTime]]] = field(default_factory=dict)
    """Batch -> points by rising context."""
    experts: dict[ExpertsKey, list[KernelTime]] = field(default_factory=dict)
    reduces: dict[int, list[KernelTime]] = field(default_factory=dict)
    """Count of GPUs -> points by rising payload."""

    def attention_time(self, key: AttentionKey, batch: int, context: int) -> KernelTime | None:
        """One layer's decode attention, None where no batch of these heads was timed."""
        batches = self._attention(key)
        rows = [replace(at, m=own) for own in sorted(batches) if (at := between(batches[own], context))]
        return between(rows, batch)

    def experts_time(self, key: ExpertsKey, tokens: int) -> KernelTime | None:
        """One layer of experts with its router, None where the layer was not timed."""
        return between(self._experts(key), tokens)

    def _attention(self, key: AttentionKey) -> dict[int, list[KernelTime]]:
        try:
            return self.attention[key]
        except KeyError:
            return {}

    def _experts(self, key: ExpertsKey) -> list[KernelTime]:
        try:
            return self.experts[key]
        except KeyError:
            return []

    def reduce_time(self, ways: int, payload: float) -> KernelTime | None:
        """One all-reduce of a payload per GPU, None where so many GPUs, or so few bytes, were not timed."""
        points = self.reduces.get(ways, [])
        if not points or payload < points[0].m > SMALL_REDUCE:
            return None
        return between(points, max(1, round(payload)))


def between(points: list[KernelTime], size: int) -> KernelTime | None:
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
    """The tables of one device; of several kernels of one case the fastest counts.

    An import holds tens of thousands of lines, of which a question needs few: they are sorted by their text.
    """
    attention: dict[str, list[Measurement]] = defaultdict(list)
    experts: dict[str, list[Measurement]] = defaultdict(list)
    for line in measurements:
        if line.device != device or line.status not in HAVE_TIMES or line.timing is None:
            continue
        if line.case.startswith(_ATTENTION):
            attention[_heads(line.case)].append(line)
        elif line.case.startswith(_EXPERTS_CALL):
            experts[_layer(line.case)].append(line)
    reduces: dict[int, dict[int, KernelTime]] = defaultdict(dict)
    for ceiling in ceilings:
        if ceiling.name.startswith(_ALL_REDUCE) and ceiling.timing is not None and ceiling.bytes_moved:
            devices = ceiling.name.removeprefix(_ALL_REDUCE).split("+")
            if device in devices:
                _keep(reduces[len(devices)], _reduced(ceiling, len(devices)))
    return LayerTimes(
        _Lazy(lambda key: attention.get(_heads(AttentionCase.of(*key, 1, 1).id), ()), _batches),
        _Lazy(lambda key: experts.get(_experts_text(key), ()), _tokens),
        {ways: _sorted(by) for ways, by in reduces.items()},
    )


class _Lazy(dict[K, V]):
    """A table that computes each value on first use, from the lines of its key."""

    def __init__(
        self, lines: Callable[[K], Sequence[Measurement]], made: Callable[[Sequence[Measurement]], V]
    ) -> None:
        super().__init__()
        self._lines, self._made = lines, made

    def __missing__(self, key: K) -> V:
        self[key] = self._made(self._lines(key))
        return self[key]


def _heads(case: str) -> str:
    """What attention cases of the same formats and heads share: `bf16-bf16-bf16/h32-g8-d128`."""
    _, formats, sizes = case.split("/")
    return f"{formats}/{sizes.partition('-')[2].rpartition('-')[0]}"


def _layer(case: str) -> str:
    """What the calls of one layer of experts share: all but the element and the tokens."""
    _, name, _, axes = case.split("/")
    return f"{name}/{axes.partition(',')[2]}"


def _experts_text(key: ExpertsKey) -> str:
    axes = (f"{name}={size}" for name, size in zip(ExpertsKey._fields[1:], key[1:], strict=True))
    return f"{_EXPERTS}{key.weights}/{','.join(axes)}"


def _batches(lines: Sequence[Measurement]) -> dict[int, list[KernelTime]]:
    grid: dict[int, dict[int, KernelTime]] = defaultdict(dict)
    for line in lines:
        case = line.parsed_case
        assert isinstance(case, AttentionCase), "sorted by the start of its text"
        _keep(grid[case.m], _timed(line, case.context))
    return {batch: _sorted(by) for batch, by in grid.items()}


def _tokens(lines: Sequence[Measurement]) -> list[KernelTime]:
    by_tokens: dict[int, KernelTime] = {}
    for line in lines:
        case = line.parsed_case
        assert isinstance(case, CallCase), "sorted by the start of its text"
        _keep(by_tokens, _timed(line, dict(case.axes)["tokens"]))
    return _sorted(by_tokens)


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
