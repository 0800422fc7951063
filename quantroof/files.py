"""Writing what a reader asked for: one clear line where the place cannot be written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from quantroof.errors import EnvironmentMissing


def write_to(target: Path, write: Callable[[Path], object]) -> None:
    """Make the folder and call `write`; EnvironmentMissing names the file and the reason."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write(target)
    except OSError as error:
        raise EnvironmentMissing(f"cannot be written: {error.strerror}", where=str(target)) from None
