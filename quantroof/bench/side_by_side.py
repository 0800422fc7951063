"""Processes side by side that print records: what they printed, and why one failed; never a hang."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from quantroof.records.run import Record

T = TypeVar("T", bound=Record)

_LOOK_S = 0.02
_GRACE_S = 2.0
"""What the others get to end by themselves once one has failed."""


@dataclass(slots=True)
class _Started:
    process: subprocess.Popen[bytes]
    out: Path
    err: Path


def together(
    modules: Sequence[Sequence[str]], environment: Mapping[str, str], limit_s: float, kind: type[T]
) -> tuple[list[T], str | None]:
    """Run modules until all end, one fails or time is up; the records that they printed until then."""
    with tempfile.TemporaryDirectory(prefix="quantroof-side-") as folder:
        started: list[_Started] = []
        try:
            for place, module in enumerate(modules):
                started.append(_start(module, environment, Path(folder) / str(place)))
            why = _wait(started, time.monotonic() + limit_s, limit_s)
        finally:
            for one in started:
                _end(one.process)
        try:
            return [line for one in started for line in _records(one.out, kind)], why
        except msgspec.DecodeError as error:
            return [], f"unreadable: {error}"


def _start(module: Sequence[str], environment: Mapping[str, str], base: Path) -> _Started:
    out, err = base.with_suffix(".out"), base.with_suffix(".err")
    with out.open("wb") as output, err.open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", *module],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            env=os.environ | environment,
            start_new_session=True,  # a Ctrl-C at the terminal reaches the run only
        )
    return _Started(process, out, err)


def _wait(started: list[_Started], deadline: float, limit_s: float) -> str | None:
    """Why they did not all end well. One that fails leaves its peers waiting for ever: they are not waited
    for."""
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
            return f"no answer within {limit_s:.0f} s: killed"
        time.sleep(_LOOK_S)


def _records(output: Path, kind: type[T]) -> Iterator[T]:
    """Every whole line; the last of a killed process may be cut off."""
    for row in output.read_bytes().splitlines(keepends=True):
        if row[:1] == b"{" and row.endswith(b"\n"):
            yield msgspec.json.decode(row, type=kind)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_words(one: _Started) -> str:
    text = one.err.read_text(errors="replace")
    said = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in said if "Error" in line]
    fallback = f"ended with exit code {one.process.returncode}"
    return next(iter((*reversed(errors), *reversed(said))), fallback)[:300]
