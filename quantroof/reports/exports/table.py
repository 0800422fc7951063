"""The flat table that CSV and Parquet hold: one row a measurement, base units, absent values empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import frame, row

if TYPE_CHECKING:
    import pandas as pd


def table(devices: list[DeviceResults]) -> pd.DataFrame:
    """All measurements of all devices."""
    return frame([row(point, results.run.info.run_id) for results in devices for point in results.points])
