"""Hardware counters beside our timer, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from quantroof.records.lines import case_words
from quantroof.reports.text.table import plain
from quantroof.units import NONE

if TYPE_CHECKING:
    from quantroof.bench.crosscheck.compare import Agreement

_HEADINGS = ("ours us", "witness us", "time diff", "bytes diff", "kernels", "witness", "case")


def agreement_lines(agreements: Sequence[Agreement]) -> list[str]:
    """One row per case: our time, the profiler's time, and their difference."""
    rows = [
        (
            f"{a.ours_ns / 1e3:.2f}",
            f"{a.witness_ns / 1e3:.2f}",
            f"{a.time_difference:+.2%}",
            NONE if a.bytes_difference is None else f"{a.bytes_difference:+.2%}",
            str(a.kernels),
            a.witness,
            f"{case_words(a.case)}, {a.kernel}",
        )
        for a in agreements
    ]
    return plain(_HEADINGS, rows, right=_HEADINGS[:5])
