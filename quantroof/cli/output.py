"""What commands share when they speak: results on stdout, the rest on stderr, colours on a terminal only."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from quantroof.errors import UsageError

JSON_SCHEMA_VERSION = 1
STANDARD_OUTPUT = Path("-")

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")


def echo_json(kind: str, data: dict[str, Any]) -> None:
    """Print one document: `schema_version`, `kind` and the data."""
    document = {"schema_version": JSON_SCHEMA_VERSION, "kind": kind, **data}
    json.dump(document, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


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
