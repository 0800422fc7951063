"""A bandwidth that moved during a run: a defect where it fell alone, otherwise nothing is known."""

from __future__ import annotations

import pytest

from quantroof.analysis.bandwidth_change import MOVED, BandwidthChange, largest, state_beside
from quantroof.analysis.verdicts import State


@pytest.mark.parametrize(
    ("own", "siblings", "state"),
    [
        (-MOVED + 0.001, [0.0] * 7, "ok"),
        (-MOVED - 0.001, [0.0] * 7, "degraded"),
        (-0.2, [-0.2] * 3 + [0.0] * 4, "degraded"),
        (-0.2, [-0.2] * 4 + [0.0] * 4, "unknown"),
        (-0.2, [], "unknown"),
        (0.2, [0.0] * 7, "unknown"),
    ],
    ids=["just steady", "just fell", "most steady", "half fell", "no sibling", "rose"],
)
def test_a_fall_that_siblings_do_not_share_is_a_defect(
    own: float, siblings: list[float], state: State
) -> None:
    """Beyond the limit, downward, and with most siblings steady: degraded; any other move is unknown."""
    assert state_beside(own, siblings) == state


def test_the_bandwidth_that_moved_stands_for_its_device() -> None:
    """A steady read and a copy that fell: the copy is named."""
    steady, fell = BandwidthChange("cuda:0", "read", 0.01), BandwidthChange("cuda:0", "copy", -0.2)

    assert largest([steady, fell]) is fell
    assert largest([steady]) is steady
    assert largest([]) is None
    assert fell.words == "the copy ceiling fell 20 % during the run"
