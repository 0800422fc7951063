"""Parquet parts: write rows, merge parts, and read a fleet back. Needs DuckDB (extra `store`)."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from quantroof import duck
from quantroof.bounds import LONGEST_NS, SHORTEST_NS
from quantroof.errors import first_line
from quantroof.files import MALFORMED, malformed
from quantroof.fleet.collection import DEVICE, Collection, Unit, Work, population_of
from quantroof.fleet.rows import SCHEMA, Row

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MARK = b"PAR1"  # the first and last bytes of every whole Parquet file
_COLUMNS = Row.__struct_fields__
_NAMES = ", ".join(f'"{name}"' for name in _COLUMNS)
_COUNTS = 'count(*), sum(faulty_clock::INT), sum(ecc_errors), sum(xid::INT), sum("foreign"::INT)'


def connect() -> DuckDBPyConnection:
    """A new in-memory DuckDB; EnvironmentMissing if DuckDB is not installed."""
    connection: DuckDBPyConnection = duck.duckdb().connect(config={"preserve_insertion_order": "false"})
    return connection


def write_part(rows: Iterable[Row], target: Path) -> None:
    """Write rows as one part."""
    import pandas as pd

    frame = pd.DataFrame([msgspec.structs.astuple(row) for row in rows], columns=list(_COLUMNS))
    frame["median_ns"] = frame["median_ns"].astype("float64")
    with connect() as connection, duck.writing_parquet(target):
        connection.register("rows", frame)
        connection.sql("SELECT * FROM rows").write_parquet(str(target), compression="zstd")


def merge_parts(parts: list[Path], target: Path) -> int:
    """Write many `usable` parts as one file; returns the number of rows. Raises DuckDB's own errors."""
    with connect() as connection:
        rows = f"SELECT {_NAMES} FROM rows"  # noqa: S608 - the columns of Row
        _view(connection, parts)
        connection.sql(rows).write_parquet(str(target), compression="zstd")
        counted = connection.execute("SELECT count(*) FROM read_parquet(?)", [str(target)]).fetchone()
    assert counted is not None
    return int(counted[0])


def _view(connection: DuckDBPyConnection, parts: list[Path]) -> None:
    """A view `rows` of all parts. A run that several parts hold is taken from one of them, so compacting a
    second time changes nothing."""
    paths = list(dict.fromkeys(str(part) for part in parts))
    connection.read_parquet(paths, filename=True).create_view("every_row")
    connection.execute("CREATE TABLE homes AS SELECT run_id, filename FROM every_row GROUP BY ALL")
    several = "SELECT run_id FROM homes GROUP BY run_id HAVING count(*) > 1"
    query = "SELECT * FROM every_row"
    if connection.execute(several).fetchall():
        once = "SELECT run_id, min(filename) AS filename FROM homes GROUP BY run_id"
        query += f" SEMI JOIN ({once}) USING (run_id, filename)"
    connection.execute(f"CREATE VIEW rows AS {query}")


def usable(parts: list[Path]) -> tuple[list[Path], list[str]]:
    """The parts that can be read, and a line for each that cannot: cut off, not Parquet, another schema."""
    good, problems = [], []
    for part in parts:
        reason = _broken(part)
        if reason is None:
            good.append(part)
        else:
            problems.append(f"{part}: {reason}")
    with connect() as connection:
        unreadable = _unreadable(connection, good)
    problems += [f"{part}: {reason}" for part, reason in unreadable.items()]
    return [part for part in good if str(part) not in unreadable], problems


def collect_parts(parts: list[Path], into: Collection) -> None:
    """Add the units and times of parts that are `usable`."""
    with connect() as connection, duck.reading_parquet(parts[0]):
        _view(connection, parts)
        _collect(connection, into)


def _collect(connection: DuckDBPyConnection, into: Collection) -> None:
    connection.execute(
        f"""CREATE TABLE units AS SELECT row_number() OVER () - 1 + {len(into.units)} AS unit, * FROM (
        SELECT run_id, device_id, min(started_at), min(node), min(suite), min(mode), min(cache),
        bool_or(simulated), min(device), {_COUNTS}, count(*) FILTER (status = 'failed'),
        count(*) FILTER (status = 'incorrect') FROM rows GROUP BY run_id, device_id)"""  # noqa: S608 - numbers
    )
    for _, run_id, _, started, node, suite, mode, cache, simulated, device, *counts in _all(
        connection, "SELECT * FROM units ORDER BY unit"
    ):
        decoded = DEVICE.decode(device)
        population = population_of(decoded, suite, mode, cache, simulated=simulated)
        into.units.append(Unit(run_id, started, node, decoded, population, *map(int, counts)))
    numbers = {work.name: index for index, work in enumerate(into.works)}
    connection.execute("CREATE TABLE works (work VARCHAR, number BIGINT)")
    works = _all(
        connection, "SELECT work, min(element), min(flops), min(bytes_moved) FROM rows GROUP BY work"
    )
    for work in works:
        if work[0] not in numbers:
            numbers[work[0]] = len(into.works)
            into.works.append(Work(*work))
    connection.executemany("INSERT INTO works VALUES (?, ?)", [(w[0], numbers[w[0]]) for w in works])
    times = connection.execute(
        "SELECT unit, number, median_ns FROM rows JOIN units USING (run_id, device_id) "
        "JOIN works USING (work) WHERE median_ns > 0 AND isfinite(median_ns)"  # to DuckDB, NaN is the largest
    ).fetchnumpy()
    ns = np.asarray(times["median_ns"], np.float64)
    # DuckDB leaves its filter out where a file's statistics say that all values pass, and these may be wrong.
    valid = (ns >= SHORTEST_NS) & (ns <= LONGEST_NS)
    into.chunks.append(
        (np.asarray(times["unit"], np.intp)[valid], np.asarray(times["number"], np.intp)[valid], ns[valid])
    )


def _broken(part: Path) -> str | None:
    try:
        with part.open("rb") as file:
            head = file.read(4)
            file.seek(-4, 2)
            tail = file.read(4)
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if head != _MARK:
        return "not a Parquet file"
    return None if tail == _MARK else "cut off: a Parquet file ends in PAR1, this one does not"


def _unreadable(connection: DuckDBPyConnection, parts: list[Path]) -> dict[str, str]:
    """Parts with other columns, or rows of another schema, by path; checked one by one only if some are."""
    import duckdb

    paths = [str(part) for part in parts]
    try:
        if not paths or not _reasons(connection, paths):
            return {}
    except duckdb.Error:
        pass
    unreadable = {}
    for path in paths:
        try:
            reasons = _reasons(connection, [path])
        except duckdb.Error as error:
            reasons = [f"cannot be read: {first_line(error)}"]
        if reasons:
            unreadable[path] = reasons[0]
    return unreadable


def _reasons(connection: DuckDBPyConnection, paths: list[str]) -> list[str]:
    """Why some of these files are not parts; raises duckdb.Error where one is damaged."""
    query = "SELECT name FROM parquet_schema(?) GROUP BY name HAVING count(*) >= ?"
    names = {row[0] for row in connection.execute(query, [paths, len(paths)]).fetchall()}
    missing = [name for name in _COLUMNS if name not in names]
    if missing:
        return [f"not a part of a fleet: it has no column '{missing[0]}'"]
    every = f"SELECT schema, device, max(hash({_NAMES})) FROM read_parquet(?) GROUP BY ALL"  # noqa: S608 - columns
    found = connection.execute(every, [paths]).fetchall()  # reads all values: a damaged page shows here
    other = sorted({str(schema) for schema, _, _ in found} - {SCHEMA})
    for _, device, _ in found:
        try:
            DEVICE.decode(device)
        except (*MALFORMED, TypeError) as error:
            return [f"damaged: a device in it is {malformed(error)}"]
    return [f"written in schema '{name}', this version reads '{SCHEMA}'" for name in other]


def _all(connection: DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return connection.execute(query).fetchall()
