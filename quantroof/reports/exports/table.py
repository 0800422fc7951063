"""The flat table of all measurements, as CSV and as Parquet: base units, absent values empty."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from quantroof import duck
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.points import frame, row

if TYPE_CHECKING:
    import pandas as pd


def table(devices: list[DeviceResults]) -> pd.DataFrame:
    """One row per measurement of every device."""
    return frame([row(point, results.run.info.run_id) for results in devices for point in results.points])


def write_csv(devices: list[DeviceResults], target: Path) -> None:
    """Write CSV with a header line."""
    table(devices).to_csv(target, index=False)


def write_parquet(devices: list[DeviceResults], target: Path) -> None:
    """Write Parquet by DuckDB (the extra `store`), zstd-compressed; EnvironmentMissing without it."""
    with duck.duckdb().connect() as connection, duck.writing_parquet(target):
        connection.register("points", table(devices))
        relation = connection.table("points")
        relation.write_parquet(str(target), compression="zstd")
