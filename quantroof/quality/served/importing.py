"""Results of load tools, recognized by their content, and joined into one set of records."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from quantroof.errors import UsageError
from quantroof.files import MALFORMED, malformed, read_bytes
from quantroof.quality.served import aiperf_result, guidellm_result, vllm_result
from quantroof.records.served import Served, ServedLoad, decode_served, is_served

IMPORTABLE = "a result of guidellm 0.8, `vllm bench serve --save-result` or AIPerf, or a file of --out"


def read_result(file: Path) -> Served:
    """The loads of one file, whichever tool wrote it. UsageError for any other file."""
    data = read_bytes(file)
    if is_served(data):
        return decode_served(data, file)
    documents = _documents(data, file)
    first = documents[0] if documents else None
    if isinstance(first, dict):
        metadata = first.get("metadata")
        if isinstance(metadata, dict) and "guidellm_version" in metadata:
            return _bounded(guidellm_result.read(data, file), file)
        if aiperf_result.is_result(first):
            return _bounded(aiperf_result.read(first, file), file)
        if "completed" in first and "duration" in first:
            return _bounded(vllm_result.read(documents, file), file)
    raise UsageError("is not a result that can be imported", where=str(file), hint=f"give {IMPORTABLE}")


def _bounded(found: Served, file: Path) -> Served:
    """The loads within the bounds of our own records: a tool's file may hold times and counts below zero."""
    try:
        msgspec.convert(msgspec.to_builtins(found.loads), tuple[ServedLoad, ...])
    except msgspec.ValidationError as error:
        raise UsageError(f"holds what no load can measure: {error}", where=str(file)) from None
    return found


def read_results(files: Sequence[Path]) -> Served:
    """Several files of one tool and model as one, loads by concurrency. UsageError if they differ."""
    results = [read_result(file) for file in files]
    first = results[0].header
    for file, other in zip(files, results, strict=True):
        for name in ("model", "tool"):
            value, expected = getattr(other.header, name), getattr(first, name)
            if value != expected:
                what = f"is of {name} '{value}', the first file of '{expected}'"
                raise UsageError(what, where=str(file), hint="import them apart")
    header = msgspec.structs.replace(first, imported_from=tuple(file.name for file in files))
    loads = [load for one in results for load in one.loads]
    loads.sort(key=lambda load: (load.concurrency is None, load.concurrency or 0))
    if not loads:
        raise UsageError("holds no loads", where=str(files[0]))
    return Served(header, tuple(loads))


def _documents(data: bytes, file: Path) -> list[Any]:
    """The JSON of a file: one document, or one per line."""
    try:
        return [msgspec.json.decode(data)]
    except MALFORMED as whole:
        try:
            return [msgspec.json.decode(line) for line in data.splitlines() if line.strip()]
        except MALFORMED:
            raise UsageError(f"is not JSON: {_not_json(data) or malformed(whole)}", where=str(file)) from None


def _not_json(data: bytes) -> str | None:
    """`it holds NaN`, where that alone is wrong: Python's own writer puts it there, and no other reads it."""
    found: list[str] = []
    try:
        json.loads(data, parse_constant=found.append)
    except (ValueError, RecursionError):
        return None
    return f"it holds {found[0]} where a number should be" if found else None
