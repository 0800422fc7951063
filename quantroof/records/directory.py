"""A run directory: `run.jsonl`, append-only while it runs, readable at every moment."""

from __future__ import annotations

import fcntl
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import msgspec

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.records.lines import Anchor, AnyLine, Ceiling, Measurement, Unknown
from quantroof.records.run import SCHEMA, RunEnd, RunInfo

FILE_NAME = "run.jsonl"
_KNOWN = ("run", "ceiling", "anchor", "measurement", "end")  # the tags in records.lines
_LINE: msgspec.json.Decoder[AnyLine] = msgspec.json.Decoder(AnyLine)
_ENCODER = msgspec.json.Encoder()
_FAMILY, _, _VERSION = SCHEMA.partition("/")


@dataclass(slots=True)
class Run:
    """Everything a run file says. `truncated` is True where the last line was cut off (a killed writer)."""

    path: Path
    info: RunInfo
    ceilings: list[Ceiling] = field(default_factory=list)
    anchors: list[Anchor] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    ends: list[RunEnd] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    truncated: bool = False

    @property
    def complete(self) -> bool:
        """True when the run reached its end."""
        return bool(self.ends) and self.ends[-1].outcome == "complete"

    def done(self) -> set[tuple[str, str, str, int]]:
        """Run keys of the measurements that need not be repeated."""
        return {m.run_key for m in self.measurements}


def run_file(path: Path) -> Path:
    """The run file behind a directory or a file name; UsageError where there is none."""
    file = path / FILE_NAME if path.is_dir() else path
    if not file.exists():
        hint = "give a directory that `quantroof run` wrote"
        raise UsageError(f"no {FILE_NAME} here", where=str(path), hint=hint)
    return file


def read_run(path: Path) -> Run:
    """Read a run directory or file, keeping lines of unknown kinds.

    Raises UsageError for a file that is no run, a schema this version cannot read, or a line that is broken
    anywhere but at the very end, each with the line number.
    """
    file = run_file(path)
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror}", where=str(file)) from None
    lines = raw.split(b"\n")
    tail = lines.pop()  # empty after a whole last line
    run = Run(path=file, info=_header(lines[0] if lines else tail, file))
    for number, line in enumerate(lines[1:], start=2):
        _add(run, line, file, number)
    run.truncated = bool(tail) and bool(lines)
    return run


def _header(line: bytes, file: Path) -> RunInfo:
    try:
        head = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UsageError("not a quantroof run: the first line is no JSON", where=str(file)) from None
    schema = head.get("schema") if isinstance(head, dict) else None
    if not isinstance(schema, str) or not schema.startswith(f"{_FAMILY}/"):
        what = f"not a quantroof run: the first line has no schema '{_FAMILY}/...'"
        raise UsageError(what, where=str(file))
    version = schema.partition("/")[2]
    if not version.isdigit() or int(version) > int(_VERSION):
        what = f"written in schema '{schema}', this version reads up to '{SCHEMA}'"
        raise UsageError(what, where=str(file), hint="upgrade quantroof")
    if head.get("kind") != "run":
        raise UsageError("not a quantroof run: the first line is not a run header", where=str(file))
    try:
        return msgspec.convert(_upgraded(head), RunInfo)
    except msgspec.ValidationError as error:
        raise UsageError(f"line 1 is broken: {error}", where=str(file)) from None


def _upgraded(head: dict[str, Any]) -> dict[str, Any]:
    """A header with the keys of today: some early files name the host by `node`."""
    match head.get("host"):
        case {"node": node, **others}:
            return {**head, "host": {"name": node, **others}}
    return head


def _decode(line: bytes, file: Path, number: int) -> AnyLine:
    try:
        return _LINE.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"line {number} is broken: {error}", where=str(file)) from None


def _add(run: Run, line: bytes, file: Path, number: int) -> None:
    try:
        data = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"line {number} is broken: {error}", where=str(file)) from None
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(kind, str):
        raise UsageError(f"line {number} has no kind", where=str(file))
    if kind not in _KNOWN:
        run.unknown.append(Unknown(kind, data))
        return
    match _decode(line, file, number):
        case Ceiling() as ceiling:
            run.ceilings.append(ceiling)
        case Anchor() as anchor:
            run.anchors.append(anchor)
        case Measurement() as measurement:
            run.measurements.append(measurement)
        case RunEnd() as end:
            run.ends.append(end)
        case _:
            raise UsageError(f"line {number} is a second run header", where=str(file))


class RunWriter:
    """Appends lines to a run file, each whole and flushed, under a lock that refuses a second writer.

    Use as a context manager. `create` starts a directory; `reopen` continues one, dropping a last line that
    a killed writer left half done.
    """

    def __init__(self, file: Path, handle: IO[bytes]) -> None:
        self.path = file
        self._handle = handle

    @classmethod
    def create(cls, directory: Path, info: RunInfo) -> RunWriter:
        """Make the directory and write the header; EnvironmentMissing where that cannot be done."""
        file = directory / FILE_NAME
        if directory.exists() and not directory.is_dir():
            raise UsageError("is a file", where=str(directory), hint="name a directory for the run")
        try:
            directory.mkdir(parents=True, exist_ok=True)
            handle = file.open("xb")
        except FileExistsError:
            hint = "continue it with --resume, or choose another --out"
            raise UsageError("there is a run here already", where=str(directory), hint=hint) from None
        except OSError as error:
            raise EnvironmentMissing(f"cannot be written: {error.strerror}", where=str(directory)) from None
        writer = cls(file, handle)
        writer._lock()
        writer.write(info)
        return writer

    @classmethod
    def reopen(cls, directory: Path) -> RunWriter:
        """Open an existing run for appending."""
        file = run_file(directory)
        try:
            handle = file.open("r+b")
        except OSError as error:
            raise EnvironmentMissing(f"cannot be written: {error.strerror}", where=str(file)) from None
        writer = cls(file, handle)
        writer._lock()
        whole = file.read_bytes().rfind(b"\n") + 1
        handle.truncate(whole)
        handle.seek(whole)
        return writer

    def write(self, line: AnyLine) -> None:
        """Append one line; EnvironmentMissing on a full disk, with what was written before left readable."""
        start = self._handle.tell()
        try:
            self._handle.write(_ENCODER.encode(line) + b"\n")
            self._handle.flush()
        except OSError as error:
            self._drop_after(start)
            raise EnvironmentMissing(f"cannot be written: {error.strerror}", where=str(self.path)) from None

    def close(self) -> None:
        """Sync to disk and release the lock."""
        try:
            os.fsync(self._handle.fileno())
        finally:
            self._handle.close()

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lock(self) -> None:
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._handle.close()
            raise UsageError("another run is writing here", where=str(self.path)) from None

    def _drop_after(self, size: int) -> None:
        try:
            os.ftruncate(self._handle.fileno(), size)
        except OSError:
            return  # the reader forgives one half line at the end
