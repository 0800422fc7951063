"""Broken files for every command that reads one: seeded mutations, and what a command may do with them."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from quantroof.cli.main import main
from quantroof.errors import ExitCode
from quantroof.hwprofiles import catalog
from tests.fuzz_targets import Target

DOCUMENTED = frozenset(code for code in ExitCode if code < ExitCode.DEFECT)
LIMIT_S = 20.0
LONGEST_LINE = 3000

_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_TEXT = re.compile(rb'"[^"\n]*"')
_NUMBERS = (
    *(b"0", b"-1", b"1", b"0.5", b"-0.0", b"1e300", b"-1e300", b"1e-320", b"1e999", b"9223372036854775808"),
    *(b"-9223372036854775809", b"1" + b"0" * 30, b"1" + b"0" * 400, b"NaN", b"Infinity", b"nan", b"inf"),
)
_VALUES = (
    *(b"null", b"true", b"[]", b"{}", b'""', b'"x"', b'"\\u0000\\u001b[31m"', b'"<script>"', b"[[]]"),
    *(b'"' + b"x" * 5000 + b'"', b"[" * 3000, b'{"a":' * 2000, b'"2026-99-99"', '"\u202eü😀"'.encode()),
)


class Hang(BaseException):
    """The command took longer than the limit; not an Exception, so that nothing catches it."""


def mutate(data: bytes, draw: random.Random) -> bytes:
    """One to three random faults in a file."""
    faults: tuple[Callable[[bytes, random.Random], bytes], ...] = (
        _flip, _cut, _delete_line, _repeat_line, _swap, *[_number] * 5, *[_value] * 3,
    )  # fmt: skip
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        data = draw.choice(faults)(data, draw)
    return data


def _flip(data: bytes, draw: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(draw.choice((1, 4, 32)) if data else 0):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def _cut(data: bytes, draw: random.Random) -> bytes:
    return data[: draw.randrange(len(data) + 1)]


def _delete_line(data: bytes, draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if lines:
        del lines[draw.randrange(len(lines))]
    return b"".join(lines)


def _repeat_line(data: bytes, draw: random.Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if lines:
        at = draw.randrange(len(lines))
        lines.insert(draw.randrange(len(lines) + 1), lines[at])
    return b"".join(lines)


def _swap(data: bytes, draw: random.Random) -> bytes:
    at, to = sorted((draw.randrange(len(data) + 1), draw.randrange(len(data) + 1)))
    return data[:at] + data[to:] + data[at:to]


def _number(data: bytes, draw: random.Random) -> bytes:
    return _replaced(data, _NUMBER, draw.choice(_NUMBERS), draw)


def _value(data: bytes, draw: random.Random) -> bytes:
    return _replaced(data, draw.choice((_NUMBER, _TEXT)), draw.choice((*_VALUES, *_NUMBERS)), draw)


def _replaced(data: bytes, pattern: re.Pattern[bytes], value: bytes, draw: random.Random) -> bytes:
    places = [place.span() for place in pattern.finditer(data)]
    if not places:
        return data
    start, end = draw.choice(places)
    return data[:start] + value + data[end:]


def fault(target: Target, data: bytes, folder: Path, slow: Path) -> str | None:
    """What is wrong with how the command takes the file; None if it does what is documented."""
    shutil.rmtree(folder, ignore_errors=True)
    file = folder / target.file
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    arguments = [part.format(file, out=folder / "out", folder=folder, slow=slow) for part in target.command]
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    try:
        with time_limit(LIMIT_S), redirect_stdout(out), redirect_stderr(err):
            main(arguments)
    except SystemExit as ended:
        code = int(ended.code or 0)
        if target.gates and code == ExitCode.OK:
            return "the gate passes a run that is three times as slow"
        return _wrong(code, _text(out), _text(err), arguments)
    except Hang:
        return f"no end within {LIMIT_S:.0f} s"
    except BaseException as error:  # noqa: BLE001 - whatever it is, it is a fault
        return f"{type(error).__name__} left the command: {error}"
    finally:
        _forget_profiles()
    return "no exit code"


def _forget_profiles() -> None:
    """--profiles adds to the catalog of the process, and the next command is another process."""
    if catalog._OWN:
        catalog._OWN.clear()
        catalog.profiles.cache_clear()


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    stream.seek(0)
    return stream.read()


def _wrong(code: int, out: str, err: str, arguments: list[str]) -> str | None:
    if code not in DOCUMENTED:
        return f"exit code {code}: {err.strip()[-300:]}"
    if "Traceback (most recent call last)" in err:
        return "a traceback"
    lines = err.splitlines()
    refused = code in (ExitCode.USAGE, ExitCode.ENVIRONMENT) and not out
    if refused and sum(line.startswith("error") for line in lines) != 1:
        return f"exit code {code} without one line of error: {err[:200]!r}"
    if any(len(line) > LONGEST_LINE for line in lines):
        return f"a line of {max(map(len, lines))} characters"
    if any(ord(letter) < 32 and letter not in "\n\t" for letter in err):
        return f"a control character on stderr: {err[:200]!r}"
    if "--json" in arguments and out:
        try:
            json.loads(out, parse_constant=_not_json)
        except ValueError as error:
            return f"stdout is not JSON: {error}"
    return None


def _not_json(constant: str) -> None:
    raise ValueError(constant)


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise Hang in the code inside after this time; a signal, so it interrupts Python code alone."""

    def stop(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
