"""What `latest` stands for: the run that started last, whatever the times of the files are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from quantroof.errors import UsageError
from quantroof.records.directory import RunWriter, read_run
from quantroof.records.latest import newest_runs, two_latest
from tests.builders import gpu_device, info


def _write(folder: Path, name: str, started_at: str, suite: str = "quick") -> None:
    header = replace(info([gpu_device()], run_id=name), started_at=started_at, suite=suite)
    with RunWriter.create(folder / name, header):
        pass


def test_the_run_that_started_last_is_the_latest(tmp_path: Path) -> None:
    """A copied file has a new time and an old start; what is not a run is passed over."""
    _write(tmp_path, "new", "2026-11-02T00:00:00+00:00")
    _write(tmp_path, "old", "2026-11-01T00:00:00+00:00")
    os.utime(tmp_path / "new" / "run.jsonl", (0, 0))
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.jsonl").write_text("no header\n")

    assert [path.name for path in newest_runs(tmp_path)] == ["new", "old"]
    assert read_run(tmp_path / "latest").info.run_id == "new"
    (tmp_path / "latest").mkdir()
    with pytest.raises(UsageError, match="no run"):  # a folder of this name is itself
        read_run(tmp_path / "latest")


def test_two_runs_are_of_one_suite(tmp_path: Path) -> None:
    """The newest run that an older one of its suite precedes; two suites have nothing to compare."""
    _write(tmp_path, "first", "2026-11-01T00:00:00+00:00")
    _write(tmp_path, "other", "2026-11-02T00:00:00+00:00", suite="node")
    with pytest.raises(UsageError, match="no two runs of one suite"):
        two_latest(tmp_path)
    _write(tmp_path, "second", "2026-11-03T00:00:00+00:00")

    assert two_latest(tmp_path) == (tmp_path / "first", tmp_path / "second")


def test_a_folder_of_runs_names_its_newest(tmp_path: Path) -> None:
    """`report runs/` is answered with what to write."""
    _write(tmp_path, "first", "2026-11-01T00:00:00+00:00")

    with pytest.raises(UsageError, match=r"/latest is its newest run"):
        read_run(tmp_path)
