"""JSON Lines files that survive a killed writer: one record per line, one writer at a time."""

from __future__ import annotations

import fcntl
import gc
import io
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from quantroof.errors import UsageError
from quantroof.files import MALFORMED, malformed, not_written

T = TypeVar("T")
_ENCODER = msgspec.json.Encoder()


def split_lines(data: bytes) -> tuple[list[bytes], bool]:
    """The whole lines, and whether half a line of a killed writer follows them."""
    *lines, rest = data.split(b"\n")
    return lines, bool(rest)


@contextmanager
def collector_paused() -> Iterator[None]:
    """No search for cycles of objects while many records are made: they have none, and it takes a third."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def decode_line(decoder: msgspec.json.Decoder[T], line: bytes, file: Path, number: int) -> T:
    """The record on a line; UsageError with file and line number where there is none."""
    try:
        return decoder.decode(line)
    except MALFORMED as error:
        raise UsageError(f"line {number} is broken: {malformed(error)}", where=str(file)) from None


_LONGEST_HEADER = 16 << 20


class JsonlWriter:
    """Appends records to a file, each on a line of its own and written at once.

    Holds a lock that refuses a second writer until it is closed. Use as a context manager.
    """

    def __init__(self, path: Path, handle: io.FileIO) -> None:
        self.path = path
        self._handle = handle

    def write(self, record: msgspec.Struct) -> None:
        """Append one record; EnvironmentMissing on a full disk, where the file keeps its whole lines."""
        start = self._handle.tell()
        rest = memoryview(_encoded(record) + b"\n")
        try:
            while rest:
                rest = rest[self._handle.write(rest) :]
        except OSError as error:
            self._drop_after(start)
            raise not_written(error, self.path) from None

    def close(self) -> None:
        """Sync to disk and release the lock."""
        try:
            os.fsync(self._handle.fileno())
        finally:
            self._handle.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _drop_after(self, size: int) -> None:
        try:
            os.ftruncate(self._handle.fileno(), size)
            self._handle.seek(size)
        except OSError:
            return  # readers leave out half a line at the end


def _encoded(record: msgspec.Struct) -> bytes:
    """A record as JSON; a name that is not UTF-8, as a path may be, has escapes in place of its bytes."""
    try:
        return _ENCODER.encode(record)
    except UnicodeEncodeError:
        return _ENCODER.encode(_escaped(msgspec.to_builtins(record)))


def _escaped(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list | tuple) else value


def create_file(file: Path, exists: UsageError) -> io.FileIO:
    """A new, locked file for a writer. Raises `exists` where there is one, else EnvironmentMissing.

    A file that a killed writer left before its first line was whole holds nothing, and is begun again.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return _locked(file, file.open("xb", buffering=0))
    except FileExistsError:
        if not _holds_nothing(file):
            raise exists from None
        return reopen_file(file)
    except OSError as error:
        raise not_written(error, file) from None


def _holds_nothing(file: Path) -> bool:
    try:
        if not file.is_file() or file.stat().st_size > _LONGEST_HEADER:
            return False
        data = file.read_bytes()
    except OSError:
        return False
    return b"\n" not in data and (not data or data.startswith(b'{"kind":'))


def reopen_file(file: Path) -> io.FileIO:
    """An existing file, locked, at the end of its last whole line; half a line after it is dropped."""
    try:
        handle = _locked(file, file.open("r+b", buffering=0))
        whole = file.read_bytes().rfind(b"\n") + 1
        handle.truncate(whole)
        handle.seek(whole)
    except OSError as error:
        raise not_written(error, file) from None
    return handle


def _locked(file: Path, handle: io.FileIO) -> io.FileIO:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        what = "another process is writing here"
        raise UsageError(what, where=str(file), hint="wait for it, or stop it") from None
    except OSError as error:  # a network file system without locks: no protection, and no obstacle
        logging.getLogger(__name__).warning("%s cannot be locked: %s", file, error.strerror)
    return handle
