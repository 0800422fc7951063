"""Many runs become one file: each once, whatever was written beside it, and a full disk is one line."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from msgspec.structs import replace

from quantroof import duck
from quantroof.errors import EnvironmentMissing
from quantroof.fleet.compact import compact
from tests.builders import ceilings, gpu_device, info, run, write

duckdb = pytest.importorskip("duckdb", reason="the store extra is not installed")


def _runs(folder: Path, ids: str) -> list[str]:
    """A small run per letter of `ids`, which is its id, each in a folder of its own."""
    device, made = gpu_device(), []
    for index, run_id in enumerate(ids):
        one = run(replace(info([device]), run_id=run_id), ceilings(device, 3e12, {}))
        made.append(str(write(one, folder / f"{index}")))
    return made


def _rows(file: Path) -> dict[str, int]:
    return dict(duckdb.sql(f"SELECT run_id, count(*) FROM '{file}' GROUP BY ALL").fetchall())


@pytest.mark.parametrize("rows_per_part", [1, 20_000])
def test_a_run_that_is_found_twice_counts_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_per_part: int
) -> None:
    """Runs share a part, so the second copy must not be in the same one; a part per run gives the same."""
    monkeypatch.setattr("quantroof.fleet.compact._ROWS_PER_PART", rows_per_part)
    out = tmp_path / "all.parquet"

    assert compact(_runs(tmp_path, "abab"), out) == []
    assert _rows(out) == {"a": 12, "b": 12}


def test_a_broken_run_costs_its_line_and_the_others_are_kept(tmp_path: Path) -> None:
    """The line names it."""
    names = _runs(tmp_path, "ab")
    (Path(names[0]) / "run.jsonl").write_text('{"kind": "run"}\n')
    (problem,) = compact(names, tmp_path / "all.parquet")

    assert problem.startswith(names[0])
    assert _rows(tmp_path / "all.parquet") == {"b": 12}


DUCKDB_1 = 'IO Error: Could not write file "x": No space left on device'
DUCKDB_2 = (
    'IO Error: Async write failed for range [offset=1050, size=287]: {"exception_type":"IO",'
    '"exception_message":"Could not write file \\"x\\": No space left on device","errno":"28"}'
)


@pytest.mark.parametrize("text", [DUCKDB_1, DUCKDB_2], ids=["version 1", "version 2"])
def test_a_full_disk_is_said_in_the_systems_words(text: str) -> None:
    """Not by a range of bytes; where, and what to do, stand beside it."""
    with pytest.raises(EnvironmentMissing) as caught, duck.writing_parquet("out/x.parquet"):
        raise duckdb.IOException(text)

    assert str(caught.value) == (
        "out/x.parquet: cannot be written: No space left on device"
        " (free some space there, or name another folder)"
    )


def test_another_reason_of_the_system_has_no_advice_for_a_full_disk() -> None:
    """A number other than that of a full disk is put into words as well."""
    with pytest.raises(EnvironmentMissing) as caught, duck.writing_parquet("x.parquet"):
        raise duckdb.IOException(f'IO Error: Async write failed: {{"errno":"{errno.EIO}"}}')

    assert str(caught.value) == "x.parquet: cannot be written: Input/output error"
