"""Standard streams that cannot end a command: missing, full, or with an encoding that lacks a character."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TextIO

import click

from quantroof.units import printable

_kept: list[TextIO | None] = []
"""The streams that `harden` replaced: Python closes their descriptors when nothing refers to them."""


class _Lossy(io.TextIOWrapper):
    """Standard error that drops what it cannot write: a lost message must not end a run."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def harden() -> None:
    """Make this process's streams fit for any text and any state in which its caller left them.

    A closed stream becomes the null device. A character that a stream cannot encode is written as an escape
    sequence. What standard error cannot take is dropped; standard output still raises, because a result that
    is lost is an error.
    """
    _kept.extend((sys.stdout, sys.stderr))
    if sys.stdout is None:
        sys.stdout = _null_device(1)
    if sys.stderr is None:
        sys.stderr = _null_device(2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if isinstance(sys.stderr, io.TextIOWrapper):
        encoding = sys.stderr.encoding
        sys.stderr.flush()
        sys.stderr = _Lossy(
            sys.stderr.buffer, encoding=encoding, errors="backslashreplace", line_buffering=True
        )


def say(text: str) -> None:
    """Print one line on standard error, or nothing if it cannot be printed."""
    with suppress(OSError, ValueError):
        click.echo(printable(text), err=True)


def discard_output() -> None:
    """Send what is left in the buffer of standard output nowhere: Python would complain about it at exit."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.__stdout__.fileno())  # type: ignore[union-attr]


def _null_device(descriptor: int) -> TextIO:
    """The null device at this descriptor, so that no file which is opened later takes its place."""
    opened = os.open(os.devnull, os.O_WRONLY)
    if opened != descriptor:
        os.dup2(opened, descriptor)
        os.close(opened)
    return os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
