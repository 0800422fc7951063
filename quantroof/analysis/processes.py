"""One value from the processes that measured a case: a low order statistic, the second fastest of five.

What disturbs a process makes it slower, so the low side of the processes is the clean one. The median of
five gives twice as many false alarms; the fastest of five depends on one lucky process.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.distributions import Array

_LOW_SHARE = 0.4


def low_position(processes: int | NDArray[np.intp]) -> NDArray[np.intp]:
    """Index of the process that counts among so many sorted by time: 1 of 5, 0 of 1 or 2."""
    position = np.ceil(np.asarray(processes) * _LOW_SHARE).astype(np.intp) - 1
    return np.asarray(np.maximum(position, 0))


def low_process(medians: Array) -> Array:
    """One value per case [cases] from process medians [cases, processes]."""
    return np.asarray(np.sort(medians, axis=1)[:, low_position(medians.shape[1])])
