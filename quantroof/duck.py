"""DuckDB (the extra `store`): every error of it becomes one line that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from quantroof.errors import EnvironmentMissing, UsageError, first_line
from quantroof.files import require


def duckdb(purpose: str = "Parquet") -> ModuleType:
    """The module; EnvironmentMissing where it is not installed."""
    return require("duckdb", purpose, "store")


@contextmanager
def reading_parquet(file: Path | str, what: str = "cannot be read") -> Iterator[None]:
    """UsageError with the file and the reason where DuckDB cannot read it in the code inside."""
    try:
        yield
    except duckdb().Error as error:
        raise UsageError(f"{what}: {first_line(error)}", where=str(file)) from None


@contextmanager
def writing_parquet(file: Path | str) -> Iterator[None]:
    """EnvironmentMissing with the file and the reason where DuckDB or the system cannot write it."""
    try:
        yield
    except (duckdb().Error, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else first_line(error)
        raise EnvironmentMissing(f"cannot be written: {reason}", where=str(file)) from None
