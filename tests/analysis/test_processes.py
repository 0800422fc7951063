"""Which process of a case counts."""

from __future__ import annotations

import numpy as np
import pytest

from quantroof.analysis.processes import low_position, low_process


@pytest.mark.parametrize(("processes", "position"), [(1, 0), (2, 0), (3, 1), (5, 1), (6, 2), (10, 3)])
def test_the_second_of_five_counts(processes: int, position: int) -> None:
    """The process at 40 %, counted up: two slow processes of five change nothing, a third would."""
    assert low_position(processes) == position


def test_slow_processes_change_nothing_and_the_fastest_does_not_decide() -> None:
    """Three disturbed processes and one lucky one leave the value where the second lies."""
    medians = np.array([[1.0, 2.0, 3.0, 4.0, 5.0], [900.0, 2.0, 800.0, 0.1, 700.0]])

    assert low_process(medians).tolist() == [2.0, 2.0]
