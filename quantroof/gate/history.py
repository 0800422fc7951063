"""History: process medians of many runs in a Parquet file, as trends of anchored values.

A row is one process of one case of one run, with the anchors of that process. The rows of a run are replaced
when it is added again, so the same folder can be added every night.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from quantroof import duck
from quantroof.analysis.distributions import Array
from quantroof.analysis.processes import low_process
from quantroof.gate.anchor_weights import AnchorWeights, follows_of
from quantroof.gate.change_points import ChangePoint, change_points
from quantroof.gate.times import ANCHORS, Key, RunTimes
from quantroof.records.lines import case_words

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection as Connection

    from quantroof.records.run import RunOptions

_COLUMNS = {
    "run": "VARCHAR",
    "started_at": "VARCHAR",
    "git": "VARCHAR",
    "device": "VARCHAR",
    "suite": "VARCHAR",
    "mode": "VARCHAR",
    "simulated": "BOOLEAN",
    "case_id": "VARCHAR",
    "kernel": "VARCHAR",
    "follows": "VARCHAR",
    "process": "INTEGER",
    "ns": "DOUBLE",
    "gemm_ns": "DOUBLE",
    "copy_ns": "DOUBLE",
}
# A run without anchors in every process is a series of its own: raw and anchored times are not comparable.
# All runs of a case use the anchor of the latest one; otherwise a newly measured roof would move the trend.
_SERIES = """
    SELECT device, suite, mode, case_id, kernel, anchored, started_at, run, git,
           list(CASE WHEN NOT anchored THEN ln(ns)
                WHEN latest = 'gemm' THEN ln(ns) - ln(gemm_ns)
                WHEN latest = 'copy' THEN ln(ns) - ln(copy_ns)
                ELSE ln(ns) - (ln(gemm_ns) + ln(copy_ns)) / 2 END ORDER BY process),
           list(ln(ns) ORDER BY process), latest
    FROM (SELECT *, bool_and(gemm_ns IS NOT NULL AND copy_ns IS NOT NULL)
                        OVER (PARTITION BY run, device) AS anchored,
                    arg_max(follows, started_at)
                        OVER (PARTITION BY device, suite, mode, case_id, kernel) AS latest FROM rows)
    GROUP BY ALL ORDER BY device, suite, mode, case_id, kernel, anchored, started_at, run
"""


@dataclass(frozen=True, slots=True)
class Trend:
    """One case over runs, oldest first. `relative` is its time over the first, anchored or raw; `ns` is raw.

    `mode` is burst or sustained, with `hot` and `eager` where the runs were measured so.
    """

    device: str
    suite: str
    mode: str
    key: Key
    anchored: bool
    runs: tuple[str, ...]
    started_at: tuple[str, ...]
    git: tuple[str | None, ...]
    relative: Array
    ns: Array
    changes: tuple[ChangePoint, ...]
    follows: str = "both"
    """The anchor that bounds the case: gemm, copy or both."""

    @property
    def label(self) -> str:
        """Device, case, kernel, and what is not as usual."""
        unusual = [] if self.mode == "burst" else [self.mode]
        unusual += [] if self.anchored else ["not anchored"]
        suffix = f" ({', '.join(unusual)})" if unusual else ""
        return f"{self.device}, {case_words(self.key[0])}, {self.key[1]}{suffix}"


def trends(runs: Sequence[RunTimes], store: Path | None = None) -> list[Trend]:
    """Every case's trend over the runs and the rows of a Parquet file, which then holds both.

    Each device of a run has its own trends, simulated ones apart. EnvironmentMissing without DuckDB;
    UsageError for an invalid store.
    """
    with duck.duckdb("history").connect() as connection:
        columns = ", ".join(f"{name} {kind}" for name, kind in _COLUMNS.items())
        connection.execute(f"CREATE TABLE rows ({columns})")
        if store is not None and store.exists():
            _load(connection, store)
        _add(connection, runs)
        if store is not None:
            _save(connection, store)
        return _series(connection)


def _load(connection: Connection, store: Path) -> None:
    names = ", ".join(_COLUMNS)
    with duck.reading_parquet(store, "not a history that this version reads"):
        connection.execute(f"INSERT INTO rows SELECT {names} FROM read_parquet(?)", [str(store)])  # noqa: S608


def _add(connection: Connection, runs: Sequence[RunTimes]) -> None:
    import pandas as pd

    for times in runs:
        connection.execute("DELETE FROM rows WHERE run = ?", [times.run.info.run_id])
    rows = pd.DataFrame([row for times in runs for row in _rows(times)], columns=list(_COLUMNS))
    connection.register("fresh", rows)
    connection.execute("INSERT INTO rows SELECT * FROM fresh")


def instant(text: str) -> str:
    """An ISO 8601 time in UTC, so that texts sort by instant; a text that is none stays as it is."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="seconds")
    except ValueError:
        return text


def _rows(times: RunTimes) -> Iterator[tuple[object, ...]]:
    info, anchor_weights = times.run.info, AnchorWeights(times)
    common = (info.run_id, instant(info.started_at), info.git, device_label(times), info.suite)
    for (case, kernel), by_process in sorted(times.log_ns.items()):
        follows = follows_of(anchor_weights.weights(case))
        for process, log_ns in sorted(by_process.items()):
            level = times.anchoring.level.get(process, {})
            anchors = (math.exp(level[name]) if name in level else None for name in ANCHORS)
            yield (
                *common,
                _mode(info.options),
                info.simulated,
                case,
                kernel,
                follows,
                process,
                math.exp(log_ns),
                *anchors,
            )


def device_label(times: RunTimes) -> str:
    """The device's name; with its id where the run measured several, and marked where it was simulated."""
    device, info = times.device, times.run.info
    mark = "SIMULATED " if info.simulated and not device.name.startswith("SIMULATED") else ""
    number = f" {device.id}" if info.devices[1:] else ""
    return f"{mark}{device.name}{number}"


def _mode(options: RunOptions) -> str:
    """How a run was measured: times of another mode, cache state or launch method are another trend."""
    words: list[str] = [options.mode]
    words += ["hot"] if options.cache == "hot" else []
    words += ["eager"] if options.eager else []
    return " ".join(words)


def _save(connection: Connection, store: Path) -> None:
    """Write a new file and move it into place, so that a full disk keeps the old one."""
    fresh = store.with_name(f"{store.name}.new")
    with duck.writing_parquet(store):
        store.parent.mkdir(parents=True, exist_ok=True)
        ordered = connection.sql("SELECT * FROM rows ORDER BY started_at, run, case_id, kernel, process")
        ordered.write_parquet(str(fresh), compression="zstd")
        fresh.replace(store)


def _series(connection: Connection) -> list[Trend]:
    series = []
    for names, group in groupby(connection.execute(_SERIES).fetchall(), key=lambda row: row[:6]):
        rows = list(group)
        log_relative = np.array([_statistic(row[9]) for row in rows])
        device, suite, mode, case, kernel, anchored = names
        series.append(
            Trend(
                device=device,
                suite=suite,
                mode=mode,
                key=(case, kernel),
                anchored=anchored,
                runs=tuple(row[7] for row in rows),
                started_at=tuple(row[6] for row in rows),
                git=tuple(row[8] for row in rows),
                relative=np.exp(log_relative - log_relative[0]),
                ns=np.exp([_statistic(row[10]) for row in rows]),
                changes=change_points(log_relative),
                follows=rows[-1][11],
            )
        )
    return series


def _statistic(log_values: list[float]) -> float:
    return float(low_process(np.array([log_values]))[0])
