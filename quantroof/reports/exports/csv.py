"""CSV: the table for spreadsheets and scripts, floats in full."""

from __future__ import annotations

from pathlib import Path

from quantroof.analysis.device_results import Subject
from quantroof.reports.exports.table import table


def write(subjects: list[Subject], target: Path) -> None:
    """Write the table with a header line."""
    table(subjects).to_csv(target, index=False)
