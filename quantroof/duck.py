"""DuckDB (the extra `store`): every error of it becomes one line that names the file."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from quantroof.errors import EnvironmentMissing, UsageError, first_line
from quantroof.files import not_written, require

_ERRNO = re.compile(r'"errno": ?"(\d+)"')


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
    except OSError as error:
        raise not_written(error, file) from None
    except duckdb().Error as error:
        if code := _system_code(str(error)):
            raise not_written(OSError(code, os.strerror(code)), file) from None
        raise EnvironmentMissing(f"cannot be written: {first_line(error)}", where=str(file)) from None


def _system_code(text: str) -> int | None:
    """The system's error behind one of DuckDB's. Version 2 gives its number, after a range of bytes."""
    if found := _ERRNO.search(text):
        return int(found[1])
    return errno.ENOSPC if os.strerror(errno.ENOSPC) in text else None
