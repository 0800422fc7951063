"""Parquet: the same table in columns, written by DuckDB (the `store` extra)."""

from __future__ import annotations

from pathlib import Path

from quantroof.analysis.device_results import DeviceResults
from quantroof.errors import EnvironmentMissing
from quantroof.reports.exports.table import table


def write(devices: list[DeviceResults], target: Path) -> None:
    """Write the table, zstd-compressed; EnvironmentMissing without DuckDB."""
    try:
        import duckdb
    except ImportError:
        hint = "pip install 'quantroof[store]'"
        raise EnvironmentMissing("Parquet needs DuckDB, which is not installed", hint=hint) from None
    with duckdb.connect() as connection:
        connection.register("points", table(devices))
        relation = connection.table("points")
        relation.write_parquet(str(target), compression="zstd")
