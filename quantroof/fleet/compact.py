"""Write runs and parts into one Parquet file, atomically."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from quantroof import duck
from quantroof.errors import QuantroofError, UsageError
from quantroof.files import writing
from quantroof.fleet.parts import merge_parts, usable, write_part
from quantroof.fleet.rows import Row, rows
from quantroof.fleet.sources import find
from quantroof.records.directory import read_run

_ROWS_PER_PART = 20_000


def compact(names: Iterable[str], out: Path) -> list[str]:
    """Write one file of all named inputs; returns a line for each input that was left out."""
    with tempfile.TemporaryDirectory(prefix="quantroof-compact-") as folder:
        sources = find(names, Path(folder))
        parts, problems = usable([part for part in sources.parts if part != out])
        problems = [*sources.problems, *problems]
        parts += _parts_of_runs(sources.runs, Path(folder), problems)
        if not parts:
            raise UsageError(f"nothing to compact: {problems[0] if problems else 'no input'}")
        _write(parts, out)
    return problems


def _parts_of_runs(runs: Iterable[Path], folder: Path, problems: list[str]) -> list[Path]:
    """Parts of many runs each, as a part costs ten times what reading its runs does; adds to `problems`.

    A run that was found twice begins another part: merging takes a run from one part only.
    """
    parts: list[Path] = []
    waiting: list[Row] = []
    held: set[str] = set()

    def write() -> None:
        if waiting:
            parts.append(folder / f"runs-{len(parts)}.parquet")
            write_part(waiting, parts[-1])
            waiting.clear()
            held.clear()

    for path in runs:
        try:
            run = read_run(path)
            found = list(rows(run))
        except QuantroofError as error:
            problems.append(str(error))
            continue
        if run.info.run_id in held or len(waiting) >= _ROWS_PER_PART:
            write()
        held.add(run.info.run_id)
        waiting += found
    write()
    return parts


def _write(parts: list[Path], out: Path) -> None:
    whole = out.with_name(f".{out.name}.part")
    try:
        with writing(out), duck.writing_parquet(out):
            out.parent.mkdir(parents=True, exist_ok=True)
            merge_parts(parts, whole)
            whole.replace(out)
    finally:
        whole.unlink(missing_ok=True)
