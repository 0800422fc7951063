"""The flat table that CSV and Parquet hold: one row a measurement, base units, absent values empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.analysis.device_results import Subject
from quantroof.analysis.points import frame, row

if TYPE_CHECKING:
    import pandas as pd


def table(subjects: list[Subject]) -> pd.DataFrame:
    """All measurements of all subjects."""
    return frame([row(point, subject.run.info.run_id) for subject in subjects for point in subject.points])
