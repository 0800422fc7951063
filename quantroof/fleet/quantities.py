"""How fast GPUs are in each quantity: bandwidths, matrix rates, cases by weights and roof."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from quantroof.fleet.scores import nanmedian, roof_names

if TYPE_CHECKING:
    from quantroof.analysis.distributions import Array
    from quantroof.fleet.evidence import Evidence

_PRODUCTS = ("gemm", "gemv")


def quantity_levels(evidence: Evidence) -> dict[str, Array]:
    """By quantity, the log time [gpus] relative to the median of the GPUs, NaN where it was not measured.

    Within a quantity the median over its works counts, each beside the siblings' median. Empty where there
    are too few siblings.
    """
    if not evidence.compared:
        return {}
    gpus = evidence.times
    deviation = gpus.log_ns - gpus.offset - evidence.siblings.center
    columns: defaultdict[str, list[int]] = defaultdict(list)
    for column, (work, roof) in enumerate(zip(gpus.works, roof_names(gpus.class_weights), strict=True)):
        columns[quantity_of(work.name, roof)].append(column)
    levels = {name: nanmedian(deviation[:, members], 1) for name, members in columns.items()}
    return {name: np.asarray(level - nanmedian(level, 0)) for name, level in levels.items()}


def of_gpu(levels: dict[str, Array], row: int) -> dict[str, float | None]:
    """The quantities of one GPU; None for what was not measured on it."""
    return {name: None if np.isnan(level[row]) else float(level[row]) for name, level in levels.items()}


def quantity_of(work: str, roof: str) -> str:
    """The quantity of a work: `read`, `bf16 matrix`, and for a case its weights and roof: `int4 memory`."""
    kind, _, rest = work.partition("/")
    name = rest.partition("/")[0]
    if kind == "bandwidth":
        return name
    if kind in ("matrix", "instruction"):
        return f"{name} {kind}"
    weights = name.partition("-")[0].partition(".")[0]
    return f"{weights} {roof}" if kind in _PRODUCTS else f"{kind} {weights} {roof}"
