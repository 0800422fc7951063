"""The JSON of nvbench and of cuda-bench: one row per state, with its axes and its summaries as columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from quantroof.errors import UsageError
from quantroof.files import MALFORMED, malformed

Scalar = str | float | int | None
COLD = "nv/cold/"


class _Named(msgspec.Struct):
    name: str
    value: Scalar = None


class _Summary(msgspec.Struct):
    tag: str
    data: list[_Named] = msgspec.field(default_factory=list)


class _State(msgspec.Struct):
    axis_values: list[_Named] | None = None
    summaries: list[_Summary] | None = None
    is_skipped: bool = False


class _Benchmark(msgspec.Struct):
    name: str
    states: list[_State]


class _Report(msgspec.Struct):
    benchmarks: list[_Benchmark]


def table(data: bytes, file: Path, aside: Counter[str]) -> Iterator[dict[str, str]]:
    """Each state as cells: `benchmark`, every axis by name, and every summary by its tag.

    UsageError for another file. States that the benchmark skipped are counted.
    """
    try:
        report = msgspec.json.decode(data, type=_Report)
    except MALFORMED as error:
        raise UsageError(f"is not a result of nvbench: {malformed(error)}", where=str(file)) from None
    for benchmark in report.benchmarks:
        for state in benchmark.states:
            if state.is_skipped:
                aside["the benchmark skipped it"] += 1
                continue
            yield {"benchmark": benchmark.name, **dict(_cells(state))}


def _cells(state: _State) -> Iterator[tuple[str, str]]:
    for axis in state.axis_values or ():
        yield axis.name, str(axis.value)
    for summary in state.summaries or ():
        for named in summary.data:
            if named.name == "value":
                yield summary.tag, str(named.value)
