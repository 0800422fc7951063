"""Routed experts by the grouped products that a run timed: up and down, one launch each.

A run times the products alone. What an engine does between them, gathering the rows of each expert, the
activation and the weighted sum, are short kernels that the model adds. Only uniform routings count: the
advisor expects every expert to be equally likely.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache

from quantroof.advisor.interpolation import KernelTime
from quantroof.advisor.layer_times import between
from quantroof.advisor.layers import Linear
from quantroof.analysis.case_time import case_time, grouped
from quantroof.kernels.cases import ExpertsCase
from quantroof.kernels.experts.case import PREFIX
from quantroof.kernels.schemes import Scheme
from quantroof.records.lines import HAVE_TIMES, Measurement

UNIFORM = "uniform"
SHORT_KERNELS = 3
"""Gather, activation, weighted sum."""
ProductTimes = Mapping[str, list[KernelTime]]
"""Formats and sizes of a grouped product -> points by rising tokens."""


def product_times(measurements: Iterable[Measurement], device: str) -> ProductTimes:
    """The fastest kernel of every grouped product of a device by tokens, `m` of a KernelTime."""
    lines = (line for line in measurements if line.device == device and line.case.startswith(PREFIX))
    lines = (line for line in lines if line.status in HAVE_TIMES and line.timing is not None)
    fastest: dict[str, dict[int, KernelTime]] = defaultdict(dict)
    for (_, _, kernel), own in grouped(lines).items():
        case = own[0].parsed_case
        assert isinstance(case, ExpertsCase), "chosen by the start of its text"
        if case.routing == UNIFORM:
            key, timed = _key_of(case), _timed(case.tokens, kernel, own)
            before = fastest[key].get(case.tokens)
            if before is None or timed.seconds < before.seconds:
                fastest[key][case.tokens] = timed
    return {key: [by[tokens] for tokens in sorted(by)] for key, by in fastest.items()}


def products_time(
    times: ProductTimes, up: Linear, down: Linear, scheme: Scheme, tokens: int, ways: int
) -> tuple[KernelTime, KernelTime] | None:
    """Both products of one layer on one of `ways` GPUs, None unless the run timed both."""
    if not times:
        return None
    first, second = (between(times.get(product_key(one, scheme, ways), []), tokens) for one in (up, down))
    return None if first is None or second is None else (first, second)


@lru_cache(maxsize=1 << 12)
def product_key(layer: Linear, scheme: Scheme, ways: int) -> str:
    """The grouped product of a layer of routed experts on one of `ways` GPUs."""
    own, moe = layer.kept(scheme), layer.moe
    assert moe is not None, "dense layers have no routing"
    n, k = layer.shard(ways, own.weight.group)
    return _key_of(ExpertsCase.of(own, 1, (moe.experts, moe.per_token, n, k), UNIFORM))


def between_bytes(up: Linear, down: Linear, scheme: Scheme, tokens: int, ways: int) -> float:
    """Bytes of the short kernels: rows gathered, gate and up read, their product written, rows summed."""
    moe = up.moe
    assert moe is not None, "dense layers have no routing"
    width, bytes_each = moe.intermediate / ways, scheme.output.element.bits / 8
    return tokens * moe.per_token * bytes_each * (2 * up.k + 3 * width + 2 * down.n)


def _key_of(case: ExpertsCase) -> str:
    sizes = f"p{case.per_token}-e{case.experts}-n{case.n}-k{case.k}"
    return f"{case.weight}-{case.activation}-{case.output}/{sizes}"


def _timed(tokens: int, kernel: str, lines: list[Measurement]) -> KernelTime:
    time = case_time(lines)
    assert time is not None, "lines without a timing are left out before"
    seconds, low, high = (ns / 1e9 for ns in (time.interval.median, time.interval.low, time.interval.high))
    return KernelTime(tokens, seconds, low, high, kernel)
