"""Read all named inputs into one collection; an unreadable input is reported and does not stop the
analysis."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

from quantroof.errors import QuantroofError, UsageError
from quantroof.fleet.beside import add_beside
from quantroof.fleet.collection import Collection, collect_rows
from quantroof.fleet.parts import collect_parts, usable
from quantroof.fleet.rows import rows
from quantroof.fleet.sources import find
from quantroof.records.directory import Run, read_run


def gather(names: Iterable[str]) -> Collection:
    """The runs and parts behind names. UsageError if none of them could be read."""
    collection = Collection()
    with tempfile.TemporaryDirectory(prefix="quantroof-fleet-") as folder:
        sources = find(names, Path(folder))
        collection.problems += sources.problems
        if sources.parts:
            _add_parts(sources.parts, collection)
        run_ids = {unit.run_id for unit in collection.units}
        for path in sources.runs:
            try:
                run = read_run(path)
            except QuantroofError as error:
                collection.problems.append(str(error))
                continue
            if run.info.run_id in run_ids:
                collection.problems.append(f"{path}: run {run.info.run_id} was read already: left out")
                continue
            run_ids.add(run.info.run_id)
            if run.truncated:
                collection.problems.append(f"{path}: the last line is cut off: the lines before it are used")
            before = len(collection.units)
            collect_rows(rows(run), collection)
            add_beside(run, collection.units[before:])
            if len(collection.units) == before and not run.bits and not _links(run):
                collection.problems.append(f"{path}: neither measurements nor ceilings: nothing to judge")
    if not collection.units:
        alone = "links and exact products alone: quantroof doctor judges them" if run_ids else "no input"
        reason = collection.problems[0] if collection.problems else alone
        raise UsageError(f"nothing to analyze: {reason}")
    return collection


def _links(run: Run) -> bool:
    return any(line.quantity == "link" for line in run.ceilings)


def _add_parts(parts: list[Path], collection: Collection) -> None:
    try:
        good, problems = usable(parts)
        collection.problems += problems
        if good:
            collect_parts(good, collection)
    except QuantroofError as error:
        collection.problems.append(str(error))
