"""CSV: the table for spreadsheets and scripts, floats in full."""

from __future__ import annotations

from pathlib import Path

from quantroof.analysis.device_results import DeviceResults
from quantroof.reports.exports.table import table


def write(devices: list[DeviceResults], target: Path) -> None:
    """Write the table with a header line."""
    table(devices).to_csv(target, index=False)
