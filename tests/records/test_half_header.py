"""A writer killed before its first line was whole left nothing: its file must not block the folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.errors import UsageError
from quantroof.records.directory import RunWriter, read_run
from tests.builders import info

HALF = b'{"kind":"run","schema":"quantroof-run/1","run_i'


@pytest.mark.parametrize("left", [b"", HALF], ids=["empty", "half a header"])
def test_a_run_is_begun_again(left: bytes, tmp_path: Path) -> None:
    """The same command once more measures; nothing of the half line is kept."""
    (tmp_path / "run.jsonl").write_bytes(left)
    with RunWriter.create(tmp_path, info([], run_id="again")):
        pass

    assert read_run(tmp_path).info.run_id == "again"


@pytest.mark.parametrize("left", [HALF + b"\n", b"notes of mine"], ids=["a whole line", "another file"])
def test_what_holds_something_is_kept(left: bytes, tmp_path: Path) -> None:
    """A line, or text that is not ours, is never overwritten."""
    (tmp_path / "run.jsonl").write_bytes(left)
    with pytest.raises(UsageError, match="there is a run here already"):
        RunWriter.create(tmp_path, info([]))

    assert (tmp_path / "run.jsonl").read_bytes() == left


def test_half_a_line_beyond_16_mebibytes_is_no_header(tmp_path: Path) -> None:
    """A file of 16 MiB without a line's end is begun again; with a byte more it is somebody's, and kept."""
    file, size = tmp_path / "run.jsonl", 16 << 20
    _sparse(file, size + 1)
    with pytest.raises(UsageError, match="there is a run here already"):
        RunWriter.create(tmp_path, info([]))
    assert file.stat().st_size == size + 1

    _sparse(file, size)
    with RunWriter.create(tmp_path, info([], run_id="again")):
        pass
    assert read_run(tmp_path).info.run_id == "again"


def _sparse(file: Path, size: int) -> None:
    """Half a header and zeros up to a size."""
    with file.open("wb") as handle:
        handle.write(HALF)
        handle.truncate(size)


def test_a_writer_at_its_first_line_is_not_disturbed(tmp_path: Path) -> None:
    """Its file is locked, however little is in it."""
    with RunWriter.create(tmp_path, info([])):
        (tmp_path / "run.jsonl").write_bytes(HALF)
        with pytest.raises(UsageError, match="another process is writing here"):
            RunWriter.create(tmp_path, info([]))


def test_folders_on_the_way_are_made(tmp_path: Path) -> None:
    """--out may name a folder in folders that are not there yet."""
    with RunWriter.create(tmp_path / "a" / "b", info([], run_id="deep")):
        pass

    assert read_run(tmp_path / "a" / "b").info.run_id == "deep"


def test_what_cannot_be_read_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of another user, say: nobody knows what is in it, so that it is somebody's."""
    (tmp_path / "run.jsonl").write_bytes(HALF)

    def unreadable(_: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", unreadable)
    with pytest.raises(UsageError, match="there is a run here already"):
        RunWriter.create(tmp_path, info([]))
