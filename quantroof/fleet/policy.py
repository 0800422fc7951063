"""The thresholds that a site may set for its fleet, and the priors for a small number of GPUs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from quantroof.analysis.floors import SIBLING_FLOOR

NATURAL_SPREAD = {"memory": 0.008, "compute": 0.02}
"""Relative spread of healthy GPUs of one model: a prior that dominates on a node of 8 and not on a fleet.

Sinha et al., SC 2022, "Not All GPUs Are Created Equal", saw 8 % between GPUs of one model in the mean of
several clusters, with unlocked clocks and in different racks. With locked clocks and equal cooling it is
less. The memory's clock is fixed and does not depend on heat or power.
"""
REPEAT_SPREAD = 0.01
"""The same for one GPU against its own past."""
MIN_SIBLINGS = 4
"""GPUs of one model, suite and mode that it takes to compare siblings."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Thresholds that a site may set.

    `floor` is the share of the siblings' median speed below which a GPU is below policy, unless healthy GPUs
    spread further: at most `healthy_share` of them may fall below a floor or pass for a defect.
    `datasheet_floor` is the least share of the vendor's bandwidth that a read must reach; None takes 0.95 of
    the lowest read that others published of the GPU, and 0.85 where nobody did. A slowdown under
    `min_effect` is never called a defect, however certain; `false_discovery_rate` is the share of those
    called defective that may only be the slow end of healthy silicon. Both rates were chosen on simulated
    fleets (docs/fleet.md). A GPU throttles when more than `throttled_share` of its lines show a clock-event
    reason that no healthy node shows.
    """

    floor: float = 1 - SIBLING_FLOOR
    min_effect: float = 0.03
    false_discovery_rate: float = 0.15
    healthy_share: float = 1e-3
    datasheet_floor: float | None = None
    throttled_share: float = 0.05

    @property
    def log_effect(self) -> float:
        """`min_effect` in log time."""
        return -math.log1p(-self.min_effect)

    @property
    def log_floor(self) -> float:
        """`floor` in log time."""
        return -math.log(self.floor)
