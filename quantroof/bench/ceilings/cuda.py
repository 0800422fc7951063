"""Ceilings of a GPU by CUDA C++ kernels, with the same timer as every case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import msgspec

from quantroof.analysis.roofs import ceiling_rate
from quantroof.bench.ceilings.record import Group, timed, untimed
from quantroof.bench.measure import Bench
from quantroof.kernels.ceilings.launch import unavailable
from quantroof.kernels.ceilings.rates import (
    LARGE,
    QUICK,
    SHAPES,
    SIZES,
    SMALL,
    SMALL_SHAPE,
    STREAMS,
    Rate,
    matrix_instructions,
    on_chip,
    stream,
)
from quantroof.records.lines import Ceiling
from quantroof.records.run import Cache, Mode

_SUSTAINED = ("read", "copy")
_ARRAYS_IN_MEMORY = 3  # the values and two copies that rotate; they may take half of the memory


def cuda_groups(bench: Bench, *, quick: bool) -> Iterator[Group]:
    """DRAM streams over sizes, then caches and instructions as evidence; if quick, streams of one size."""
    if (skip := unavailable()) is not None:
        line = untimed(bench, "bandwidth", "read", "cuda.stream_read", "skipped", skip.reason)
        yield Group(line.group, lambda: iter((line,)))
        return
    for operation in STREAMS:
        streams = partial(_streams, bench, operation, quick=quick)
        yield Group(("bandwidth", operation, f"cuda.stream_{operation}"), streams)
    if quick:
        return
    for rate in (*on_chip(bench.device), *(rate for _, rate in matrix_instructions(bench.device))):
        yield Group((rate.quantity, rate.name, rate.kernel.partition("/")[0]), partial(_one, bench, rate))


def _one(bench: Bench, rate: Rate) -> Iterator[Ceiling]:
    yield timed_rate(bench, rate)


def _streams(bench: Bench, operation: str, *, quick: bool) -> Iterator[Ceiling]:
    """All launch shapes at the largest size, the best of them at the others, and sustained."""
    reference = min(QUICK if quick else LARGE, _largest(bench))
    tried = []
    for shape in SHAPES[: 1 if quick else None]:
        ceiling = timed_rate(bench, stream(bench.device, operation, reference, shape))
        tried.append((ceiling_rate(ceiling) or 0.0, shape))
        yield ceiling
    if quick:
        return
    _, best = max(tried)
    for size in SIZES:
        if size == reference or size > _largest(bench):
            continue
        # Small arrays end before a few long-lived blocks have begun to stream: the curve is the best of both.
        for shape in dict.fromkeys((best, SMALL_SHAPE) if size <= SMALL else (best,)):
            yield timed_rate(bench, stream(bench.device, operation, size, shape))
    if operation in _SUSTAINED:
        yield timed_rate(bench, stream(bench.device, operation, reference, best), mode="sustained")


def timed_rate(bench: Bench, rate: Rate, mode: Mode = "burst") -> Ceiling:
    """One ceiling; what cannot run or assemble becomes a line with its reason."""
    cache: Cache = "cold" if rate.cold else "hot"
    settings = msgspec.structs.replace(bench.settings, cache=cache, mode=mode)
    amount = {"flops" if rate.quantity == "instruction" else "bytes_moved": rate.amount}
    bench = replace(bench, settings=settings)
    return timed(bench, rate.build, rate.quantity, rate.name, rate.kernel, **amount)


def _largest(bench: Bench) -> int:
    memory = bench.device.memory_bytes
    return QUICK if memory is None else memory // (_ARRAYS_IN_MEMORY * 2)
