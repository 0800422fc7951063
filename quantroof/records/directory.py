"""A run directory: `run.jsonl`, append-only while it runs, readable at every moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from quantroof.errors import UsageError
from quantroof.files import MALFORMED, read_bytes
from quantroof.records.jsonl import (
    JsonlWriter,
    collector_paused,
    create_file,
    decode_line,
    reopen_file,
    split_lines,
)
from quantroof.records.latest import FILE_NAME, is_latest, latest
from quantroof.records.lines import Anchor, AnyRecord, Bits, Ceiling, Measurement, Unknown
from quantroof.records.run import SCHEMA, RunEnd, RunInfo

_KNOWN = ("run", "ceiling", "anchor", "bits", "measurement", "end")  # the tags in records.lines
_RECORD: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord)
_ANY: msgspec.json.Decoder[Any] = msgspec.json.Decoder()


class _Tagged(msgspec.Struct):
    """The kind of a line, which is read much faster than all of it."""

    kind: str = ""


_KIND = msgspec.json.Decoder(_Tagged)
_FAMILY, _, _VERSION = SCHEMA.partition("/")


@dataclass(slots=True)
class Run:
    """The contents of a run file. `truncated` is True if the last line was cut off (a killed writer)."""

    path: Path
    info: RunInfo
    ceilings: list[Ceiling] = field(default_factory=list)
    anchors: list[Anchor] = field(default_factory=list)
    measurements: list[Measurement] = field(default_factory=list)
    ends: list[RunEnd] = field(default_factory=list)
    unknown: list[Unknown] = field(default_factory=list)
    truncated: bool = False
    bits: list[Bits] = field(default_factory=list)

    @property
    def complete(self) -> bool:
        """True when the run reached its end."""
        return bool(self.ends) and self.ends[-1].outcome == "complete"

    def done(self) -> set[tuple[str, str, str, int]]:
        """Run keys of the measurements that need not be repeated."""
        return {m.run_key for m in self.measurements}


def run_file(path: Path) -> Path:
    """The run file behind a directory, a file name or `latest`; UsageError if there is none."""
    directory = latest(path) if is_latest(path) else path
    file = directory / FILE_NAME if directory.is_dir() else directory
    if not file.exists():
        inside = directory.is_dir() and next(directory.glob(f"*/{FILE_NAME}"), None)
        hint = (
            f"{directory}/latest is its newest run"
            if inside
            else "name a directory that `quantroof run` wrote"
        )
        raise UsageError(f"no {FILE_NAME} here", where=str(path), hint=hint)
    return file


def read_run(path: Path, *, imported: bool = False) -> Run:
    """Read a run directory or file, keeping lines of unknown kinds.

    Times that others measured are read only where `imported` allows them: no gate, fleet or history may.

    Raises UsageError for a file that is not a run, a schema this version cannot read, or a broken line
    anywhere but at the very end, each with the line number.
    """
    file = run_file(path)
    raw = read_bytes(file)
    lines, truncated = split_lines(raw)
    run = Run(path=file, info=_header(lines[0] if lines else raw, file), truncated=truncated)
    if run.info.imported is not None and not imported:
        what = f"holds times that others measured ({run.info.imported.source}), not this machine"
        raise UsageError(what, where=str(file), hint="`advise --run`, `show` and `report` read it")
    with collector_paused():
        for number, line in enumerate(lines[1:], start=2):
            _add(run, line, file, number)
    return run


def _header(line: bytes, file: Path) -> RunInfo:
    try:
        head = msgspec.json.decode(line)
    except MALFORMED:
        raise UsageError("not a quantroof run: the first line is not JSON", where=str(file)) from None
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


def _is_known(line: bytes) -> bool:
    try:
        return _KIND.decode(line).kind in _KNOWN
    except MALFORMED:
        return False  # the line is broken, or another kind of JSON: its own error names it


def _add(run: Run, line: bytes, file: Path, number: int) -> None:
    try:
        record = _RECORD.decode(line)
    except MALFORMED:
        record = None
    if record is None and not _is_known(line):
        data = decode_line(_ANY, line, file, number)
        kind = data.get("kind") if isinstance(data, dict) else None
        if not isinstance(kind, str):
            raise UsageError(f"line {number} has no kind", where=str(file))
        run.unknown.append(Unknown(kind, data))
        return
    match record or decode_line(_RECORD, line, file, number):
        case Ceiling() as ceiling:
            run.ceilings.append(ceiling)
        case Anchor() as anchor:
            run.anchors.append(anchor)
        case Bits() as bits:
            run.bits.append(bits)
        case Measurement() as measurement:
            run.measurements.append(measurement)
        case RunEnd() as end:
            run.ends.append(end)
        case _:
            raise UsageError(f"line {number} is a second run header", where=str(file))


class RunWriter(JsonlWriter):
    """Appends the records of a run to its file, which is locked against other writers."""

    @classmethod
    def create(cls, directory: Path, info: RunInfo) -> RunWriter:
        """Make the directory and write the header; EnvironmentMissing if that cannot be done."""
        if directory.exists() and not directory.is_dir():
            raise UsageError("is a file", where=str(directory), hint="name a directory for the run")
        hint = "continue it with --resume, or choose another --out"
        exists = UsageError("there is a run here already", where=str(directory), hint=hint)
        file = directory / FILE_NAME
        writer = cls(file, create_file(file, exists))
        writer.write(info)
        return writer

    @classmethod
    def reopen(cls, directory: Path) -> RunWriter:
        """Open an existing run for appending, without a last line that a killed writer left half done."""
        file = run_file(directory)
        return cls(file, reopen_file(file))
