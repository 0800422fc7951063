"""What commands print: results on stdout, progress and remarks on stderr, colors on a terminal only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.streams import say
from quantroof.errors import UsageError
from quantroof.units import printable

if TYPE_CHECKING:
    from rich.console import RenderableType

JSON_SCHEMA_VERSION = 1
STANDARD_OUTPUT = Path("-")
_SLOW_S = 2.0  # seconds of silence after which a pipe is told what takes so long

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def echo_json(kind: str, data: dict[str, Any]) -> None:
    """Print one document: `schema_version`, `kind` and the data."""
    document = {"schema_version": JSON_SCHEMA_VERSION, "kind": kind, **data}
    try:
        text = json.dumps(document, indent=2, allow_nan=False)
    except ValueError:  # a number that overflowed on the way is not known, and absent is null
        text = json.dumps(_finite(document), indent=2, allow_nan=False)
    sys.stdout.write(text)
    sys.stdout.write("\n")


def _finite(value: Any) -> Any:
    """The same data with None for every number that JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not isfinite(value) else value


def echo_lines(lines: Iterable[str]) -> None:
    """Print lines of results, without the control codes that a name from a file could hold."""
    for line in lines:
        click.echo("\n".join(map(printable, line.split("\n"))))


def echo_rich(parts: Iterable[RenderableType]) -> None:
    """Print tables and colored lines. Text is literal, and long lines are not broken."""
    from rich.table import Table

    from quantroof.reports.text.console import stdout
    from quantroof.reports.text.table import literal

    console = stdout()
    for part in parts:
        console.print(literal(part) if isinstance(part, str) else part, soft_wrap=not isinstance(part, Table))


def note(text: str) -> None:
    """Print one line of progress or remark on stderr."""
    say(text)


@contextmanager
def working(text: str) -> Iterator[None]:
    """A spinner on a terminal's stderr while something takes seconds; in a pipe a line after two seconds."""
    if not sys.stderr.isatty():
        from threading import Timer

        slow = Timer(_SLOW_S, note, (text,))
        slow.daemon = True
        slow.start()
        try:
            yield
        finally:
            slow.cancel()
        return
    from quantroof.reports.text.console import stderr

    with stderr().status(text):
        yield


def deliver(target: Path, write: Callable[[Path], object]) -> None:
    """Write a file and print its path; `-` is standard output, and then nothing else is printed there."""
    from tempfile import TemporaryDirectory

    from quantroof.files import write_to

    if target == STANDARD_OUTPUT:
        with TemporaryDirectory(prefix="quantroof-") as folder:
            file = Path(folder) / "out"
            write(file)
            sys.stdout.buffer.write(file.read_bytes())
        return
    if target.is_dir():
        raise UsageError("is a directory", where=str(target), hint="name the file to write")
    write_to(target, write)
    click.echo(str(target))
