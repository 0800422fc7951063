"""Which checks of a node are kept as its past: it does not grow with every job, nor follow a slow loss."""

from __future__ import annotations

import shutil
from pathlib import Path

FIRST, LATEST = 10, 5
"""The first checks are most of what is kept, so that the median of the past is that of the first days."""
ENDING = "-prolog"


def forget(folder: Path) -> None:
    """Remove the checks in a folder that are neither among the first nor among the latest.

    What cannot be removed stays; other folders are not touched.
    """
    checks = sorted(path for path in folder.glob(f"*{ENDING}") if path.is_dir() and not path.is_symlink())
    for check in checks[FIRST:-LATEST]:
        for path in (check, check.with_name(f"{check.name}-again")):
            shutil.rmtree(path, ignore_errors=True)
