"""What a band is learned from where there are many points."""

from __future__ import annotations

import pytest

from quantroof.advisor.interpolation import SAMPLED, KernelTime, batch_errors, shape_errors


@pytest.mark.parametrize("errors", [batch_errors, shape_errors])
def test_the_band_of_many_points_is_learned_from_a_sample(errors: type) -> None:
    """Leaving out each of 4,000 points in turn would take minutes: at most 250 are, spread evenly."""
    grid = {
        (n, 64): [KernelTime(m, m * n * 1e-9, m * n * 1e-9, m * n * 1e-9, "kernel") for m in range(1, 41)]
        for n in range(64, 6464, 64)
    }

    assert 200 <= len(list(errors(grid))) <= SAMPLED == 250
