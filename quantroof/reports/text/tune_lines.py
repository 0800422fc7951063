"""What a tuning found, as a line and as data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.records.lines import case_words

if TYPE_CHECKING:
    from quantroof.bench.tune import TuningResult


def tuning_line(kernel: str, case: str, outcome: TuningResult) -> str:
    """The best time of one case, beside that of the formula's tiling."""
    what = f"{case_words(case)}, {kernel}"
    if outcome.entry is None:
        return f"{what}: none of {outcome.tried} tilings ran"
    formula = (
        "" if outcome.formula_ns is None else f", the formula's tiling {outcome.formula_ns / 1e3:.1f} us"
    )
    return f"{what}: {outcome.entry.median_ns / 1e3:.1f} us{formula} ({outcome.tried} tried)"


def tuning_document(outcomes: list[TuningResult]) -> dict[str, Any]:
    """Every case that has a tiling."""
    rows = [msgspec.to_builtins(o.entry) | {"formula_ns": o.formula_ns} for o in outcomes if o.entry]
    return {"rows": rows}
