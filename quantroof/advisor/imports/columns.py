"""Kernel times in a CSV file of any tool, by a TOML file that says which column is what.

schema = "quantroof-columns/1"
source = "tritonbench, commit abc"
license = "BSD-3"
framework = "triton 3.6"
rule = "do_bench: one event pair per call, 50 us and more"
time = "latency"            # the column of the time, in `unit`
unit = "us"                 # ns, us, ms or s
m = "M"
n = "N"
k = "K"
format = "fp8-w8a8"         # one of quantroof's, or `column:NAME` with names in [formats]
kernel = "column:provider"  # a name, or a column
copies = 1                  # weight sets that were used in turn
flushed = false             # whether the tool empties the last-level cache before each sample

[formats]
float16 = "fp16"
"""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from quantroof.advisor.choices import choice
from quantroof.advisor.imports.rows import Row
from quantroof.errors import UsageError
from quantroof.files import read_text, read_toml
from quantroof.kernels.cases import Case
from quantroof.records.run import Imported

SCHEMA = "quantroof-columns/1"
_COLUMN = "column:"
_UNITS = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1.0}


class Columns(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which column is what, and where the file comes from."""

    schema: str
    source: str
    license: str
    framework: str
    rule: str
    time: str
    unit: Literal["ns", "us", "ms", "s"]
    m: str
    n: str
    k: str
    format: str
    kernel: str
    copies: Annotated[int, msgspec.Meta(ge=1)] = 1
    flushed: bool = False
    """Whether the tool empties the last-level cache before each sample."""
    fill: str = "not stated"
    formats: dict[str, str] = {}

    @property
    def imported(self) -> Imported:
        """What the header of the run says."""
        return Imported(
            source=self.source,
            version="a file",
            license=self.license,
            framework=self.framework,
            rule=self.rule,
        )


def read_columns(path: Path) -> Columns:
    """A file of columns. UsageError names the key that is wrong."""
    return read_toml(path, Columns, SCHEMA)


def rows(path: Path, columns: Columns, aside: Counter[str]) -> Iterator[Row]:
    """The rows of a CSV file. What cannot be read is counted by its reason."""
    reader = csv.DictReader(read_text(path).splitlines())
    yield from rows_of(reader, reader.fieldnames or (), columns, aside, path)


def rows_of(
    cells: Iterable[dict[str, str]], names: Collection[str], columns: Columns, aside: Counter[str], path: Path
) -> Iterator[Row]:
    """The rows of a table that was read already, with the names of its columns."""
    required = [columns.time, columns.m, columns.n, columns.k]
    required += [text.removeprefix(_COLUMN) for text in (columns.format, columns.kernel) if _COLUMN in text]
    for name in required:
        if name not in names:
            raise UsageError(f"has no column '{name}'", where=str(path))
    for row in cells:
        result = _row(row, columns)
        if isinstance(result, str):
            aside[result] += 1
        else:
            yield result


def _row(row: dict[str, str], columns: Columns) -> Row | str:
    name = _cell(row, columns.format)
    try:
        m, n, k = (int(row[column]) for column in (columns.m, columns.n, columns.k))
        seconds = float(row[columns.time]) * _UNITS[columns.unit]
    except (KeyError, TypeError, ValueError):
        return "a size or a time is not a number"
    if min(m, n, k) < 1 or not (math.isfinite(seconds) and seconds > 0):
        return "a size or a time is not positive"
    try:
        case = Case.linear(choice(columns.formats.get(name, name)), m, n, k)
        weights, moved = case.weight_bytes, case.bytes_moved
    except UsageError as error:
        return str(error)
    return Row(
        case=case,
        kernel=_cell(row, columns.kernel),
        seconds=seconds,
        copies=columns.copies,
        weight_bytes=weights,
        bytes_moved=moved,
        fill=columns.fill,
        flushed=columns.flushed,
    )


def _cell(row: dict[str, str], text: str) -> str:
    """A text as it stands, or the cell of the column that it names."""
    return row[text.removeprefix(_COLUMN)] if text.startswith(_COLUMN) else text
