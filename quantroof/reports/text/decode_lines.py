"""Decode throughput of a model by format and batch, as a table and as data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from quantroof.reports.text.table import table, titled
from quantroof.units import NONE, decimals, percent

if TYPE_CHECKING:
    from rich.console import Group

    from quantroof.quality.decode.sweep import TooLarge
    from quantroof.quality.decode.throughput import Throughput

_HEADINGS = (
    "", "prefill tok/s", "decode tok/s", "ms per step", "95 %", "GB/s", "of roof", "J/token", "graph",
)  # fmt: skip


def result_line(result: Throughput | TooLarge) -> str:
    """One result as it comes."""
    from quantroof.quality.decode.throughput import Throughput

    if isinstance(result, Throughput):
        return f"{result.format} batch {result.workload.batch}: {result.tokens_per_s:.1f} tokens/s"
    batch = f" batch {result.batch}" if result.batch else ""
    return f"{result.format}{batch}: {result.reason}"


def decode_table(title: str, results: Sequence[Throughput], roof: float | None) -> Group:
    """One row per format and batch; `roof` is the measured read bandwidth, bytes/s."""
    rows = [
        (
            f"{result.format}, batch {result.workload.batch}",
            f"{result.prefill_tokens_per_s:.1f}",
            f"{result.tokens_per_s:.1f}",
            f"{result.step.median / 1e6:.3f}",
            f"{result.step.low / 1e6:.3f} .. {result.step.high / 1e6:.3f}",
            f"{result.bytes_per_s / 1e9:.2f}",
            NONE if roof is None else percent(result.bytes_per_s / roof),
            decimals(result.joules_a_token, 3),
            result.graph,
        )
        for result in results
    ]
    return titled(title, table(_HEADINGS, rows, right=_HEADINGS[1:]))


def decode_row(result: Throughput, roof: float | None) -> dict[str, Any]:
    """One result with what is derived from it, for programs."""
    step = result.step
    return {
        **asdict(result),
        "step_median_ns": step.median,
        "step_interval_ns": [step.low, step.high],
        "tokens_per_s": result.tokens_per_s,
        "prefill_tokens_per_s": result.prefill_tokens_per_s,
        "bytes_per_s": result.bytes_per_s,
        "share_of_read_roof": None if roof is None else result.bytes_per_s / roof,
    }
