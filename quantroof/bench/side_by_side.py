"""Run processes that print records in parallel, with a time limit: their records, and why one failed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from quantroof.files import MALFORMED, malformed
from quantroof.records.run import Record

T = TypeVar("T", bound=Record)

_LOOK_S = 0.02
_GRACE_S = 2.0
"""What the others get to end by themselves once one has failed, and a killed process to end."""


@dataclass(slots=True)
class _Started:
    process: subprocess.Popen[bytes]
    out: Path
    err: Path


Module = tuple[Sequence[str], Mapping[str, str]]
"""A module with its arguments, and what is added to its environment."""


def together(modules: Sequence[Module], limit_s: float, kind: type[T]) -> tuple[list[T], str | None]:
    """Run modules that depend on each other until all end, one fails, or time is up. Returns the records
    printed until then, and why one failed."""
    with _running(modules) as started:
        why = _wait(started, time.monotonic() + limit_s, limit_s)
        for one in started:
            _end(one.process)
        outputs = [_output(one, kind) for one in started]
    broken = next((problem for _, problem in outputs if problem is not None), None)
    return [line for lines, _ in outputs for line in lines], why or broken


def apart(modules: Sequence[Module], limit_s: float, kind: type[T]) -> list[tuple[list[T], str | None]]:
    """Run independent modules in parallel. Returns the records of each, and why it failed."""
    deadline = time.monotonic() + limit_s
    with _running(modules) as started:
        while any(one.process.poll() is None for one in started) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
        late = [one.process.returncode is None for one in started]
        for one in started:
            _end(one.process)
        results = []
        for one, killed in zip(started, late, strict=True):
            lines, problem = _output(one, kind)
            why = _late(limit_s) if killed else _last_words(one) if one.process.returncode else problem
            results.append((lines, why))
    return results


@contextmanager
def _running(modules: Sequence[Module]) -> Iterator[list[_Started]]:
    """The processes of the modules; all of them are ended on exit, also after an error."""
    with tempfile.TemporaryDirectory(prefix="quantroof-side-", ignore_cleanup_errors=True) as folder:
        started: list[_Started] = []
        try:
            for place, (module, environment) in enumerate(modules):
                started.append(_start(module, environment, Path(folder) / str(place)))
            yield started
        finally:
            for one in started:
                _end(one.process)


def _output(one: _Started, kind: type[T]) -> tuple[list[T], str | None]:
    try:
        return list(_records(one.out, kind)), None
    except MALFORMED as error:
        return [], f"unreadable: {malformed(error)}"


def _late(limit_s: float) -> str:
    return f"no answer within {limit_s:.0f} s: killed"


def _start(module: Sequence[str], environment: Mapping[str, str], base: Path) -> _Started:
    out, err = base.with_suffix(".out"), base.with_suffix(".err")
    with out.open("wb") as output, err.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", *module],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=os.environ | environment,
            start_new_session=True,  # a Ctrl-C at the terminal reaches the run only
        )
    return _Started(process, out, err)


def _wait(started: list[_Started], deadline: float, limit_s: float) -> str | None:
    """Why one of them failed, or None. The peers of a failed process would wait forever, so they are
    ended."""
    while True:
        running = [one for one in started if one.process.poll() is None]
        failed = next((one for one in started if one.process.returncode), None)
        if failed is not None:
            grace = min(deadline, time.monotonic() + _GRACE_S)
            while running and time.monotonic() < grace:
                time.sleep(_LOOK_S)
                running = [one for one in running if one.process.poll() is None]
            return _last_words(failed)
        if not running:
            return None
        if time.monotonic() > deadline:
            return _late(limit_s)
        time.sleep(_LOOK_S)


def _records(output: Path, kind: type[T]) -> Iterator[T]:
    """Every whole line; the last of a killed process may be cut off."""
    for row in output.read_bytes().splitlines(keepends=True):
        if row[:1] == b"{" and row.endswith(b"\n"):
            yield msgspec.json.decode(row, type=kind)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_GRACE_S)  # one that hangs in the driver does not die


def _last_words(one: _Started) -> str:
    text = one.err.read_text(errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "Error" in line]
    fallback = f"ended with exit code {one.process.returncode}"
    return next(iter((*reversed(errors), *reversed(lines))), fallback)[:300]
