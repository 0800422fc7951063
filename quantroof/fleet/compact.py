"""Write runs and parts into one Parquet file, atomically."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from quantroof.errors import QuantroofError, UsageError
from quantroof.files import writing
from quantroof.fleet.parts import merge_parts, usable, write_part
from quantroof.fleet.rows import rows
from quantroof.fleet.sources import find
from quantroof.records.directory import read_run


def compact(names: Iterable[str], out: Path) -> list[str]:
    """Write one file of all named inputs; returns a line for each input that was left out."""
    with tempfile.TemporaryDirectory(prefix="quantroof-compact-") as folder:
        sources = find(names, Path(folder))
        parts, problems = usable([part for part in sources.parts if part != out])
        problems = [*sources.problems, *problems]
        for number, path in enumerate(sources.runs):
            part = Path(folder) / f"run-{number}.parquet"
            try:
                write_part(rows(read_run(path)), part)
            except QuantroofError as error:
                problems.append(str(error))
            else:
                parts.append(part)
        if not parts:
            raise UsageError(f"nothing to compact: {problems[0] if problems else 'no input'}")
        _write(parts, out)
    return problems


def _write(parts: list[Path], out: Path) -> None:
    whole = out.with_name(f".{out.name}.part")
    try:
        with writing(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            merge_parts(parts, whole)
            whole.replace(out)
    finally:
        whole.unlink(missing_ok=True)
