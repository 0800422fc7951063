"""Files of records: half a line is dropped, a second writer refused, a full disk costs one record at most."""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from msgspec.structs import replace

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.records.directory import RunWriter, read_run
from quantroof.records.jsonl import collector_paused, create_file, reopen_file
from quantroof.records.latest import FILE_NAME
from quantroof.records.quality import QualityStudy, opened, read_study
from quantroof.records.run import RunEnd
from quantroof.records.served import Served, ServedHeader, ServedLoad, decode_served, write_served
from tests.builders import cpu_device, info, write
from tests.reports.studies import header, result, written
from tests.runs import cpu_run

END = RunEnd(finished_at="2026-01-01T00:00:00+00:00", outcome="complete")
# Longer than every record that the tests write after it.
HALF = b'{"kind":"measurement","device":"' + b"x" * 100_000


def _run(folder: Path) -> Path:
    return write(cpu_run(), folder / "run") / FILE_NAME


def _study(folder: Path) -> Path:
    return written(folder / "study.jsonl", [result("none", 0.0, None)])


def _served(folder: Path) -> Path:
    load = ServedLoad(concurrency=1, duration_ns=1.0, completed=0, failed=1, prompt_tokens=0, output_tokens=0)
    write_served(folder / "served.jsonl", Served(ServedHeader(model="m", tool="t"), (load,)))
    return folder / "served.jsonl"


def _resumed(file: Path) -> QualityStudy:
    return opened(file, header(), resume=True)


READERS: list[tuple[Callable[[Path], Path], Callable[[Path], object]]] = [
    (_run, lambda file: read_run(file).measurements),
    (_study, lambda file: read_study(file).results),
    (_served, lambda file: decode_served(file.read_bytes(), file)),
]


@pytest.mark.parametrize(("made", "read"), READERS)
def test_half_a_line_at_the_end_is_left_out(
    tmp_path: Path, made: Callable[[Path], Path], read: Callable[[Path], object]
) -> None:
    """Every reader returns the whole records before it."""
    file = made(tmp_path)
    whole = read(file)
    file.write_bytes(file.read_bytes() + HALF)

    assert read(file) == whole


@pytest.mark.parametrize(("made", "read"), READERS)
def test_a_broken_line_has_its_number(
    tmp_path: Path, made: Callable[[Path], Path], read: Callable[[Path], object]
) -> None:
    """A line that is whole and not a record is refused with file and number by every reader."""
    file = made(tmp_path)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], b"{oops\n", *lines[1:]]))

    with pytest.raises(UsageError, match="line 2 is broken") as refused:
        read(file)
    assert str(file) in str(refused.value)


def test_half_a_line_longer_than_the_next_record_is_dropped(tmp_path: Path) -> None:
    """A reopened run or study ends in the record that was written last, with nothing of the half line."""
    run, study = _run(tmp_path), _study(tmp_path)
    for file in (run, study):
        file.write_bytes(file.read_bytes() + HALF)
    with RunWriter.reopen(run.parent) as writer:
        writer.write(END)
    with _resumed(study) as continued:
        continued.add(result("fp8", 0.001, "fp8-w8a8"))

    assert (read_run(run).ends[-1], read_run(run).truncated) == (END, False)
    assert [line.method for line in read_study(study).results] == ["none", "fp8"]
    assert b"xxx" not in run.read_bytes() + study.read_bytes()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    """A run and a study have one writer at a time, from their creation on."""
    run, study = _run(tmp_path), _study(tmp_path)
    with RunWriter.reopen(run.parent), pytest.raises(UsageError, match="another process is writing"):
        RunWriter.reopen(run.parent)
    with _resumed(study), pytest.raises(UsageError, match="another process is writing"):
        _resumed(study)
    fresh = tmp_path / "fresh.jsonl"
    with opened(fresh, header(), resume=False), pytest.raises(UsageError, match="another process is writing"):
        opened(fresh, header(), resume=True)


@contextmanager
def _disk_full_at(size: int) -> Iterator[None]:
    """Files end at a size: the kernel writes up to it and then refuses, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_fills_up_within_a_record_costs_that_record_only(tmp_path: Path) -> None:
    """Half a record that reached the disk is taken back, and the next one follows the last whole one."""
    file = _run(tmp_path)
    before = file.read_bytes()
    with RunWriter.reopen(file.parent) as writer:
        with _disk_full_at(len(before) + 20), pytest.raises(EnvironmentMissing, match="cannot be written"):
            writer.write(END)
        assert file.read_bytes() == before
        writer.write(END)

    assert read_run(file).ends[-1] == END
    assert file.read_bytes().startswith(before)
    assert b"\0" not in file.read_bytes()


def test_a_file_system_without_locks_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Only a lock that somebody holds refuses a writer; a network file system without locks is a remark."""

    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unsupported)
    with create_file(tmp_path / "x.jsonl", UsageError("exists")) as handle:
        assert not handle.closed

    assert caplog.messages == [f"{tmp_path / 'x.jsonl'} cannot be locked: No locks available"]


def test_a_name_that_is_not_utf_8_is_recorded_with_escapes(tmp_path: Path) -> None:
    """A path may hold any bytes, and Python hands them on as halves of characters, which no JSON holds."""
    told = replace(info([cpu_device()]), command=("quantroof", "run", "--out", os.fsdecode(b"r/\xff")))
    with RunWriter.create(tmp_path / "run", told):
        pass
    run = read_run(tmp_path / "run")

    assert run.info.command[-1] == r"r/\udcff"
    assert run.info.devices == told.devices


def test_a_lock_that_somebody_holds_refuses_a_second_writer(tmp_path: Path) -> None:
    """Two writers would mix their lines."""
    with (
        create_file(tmp_path / "x.jsonl", UsageError("exists")),
        pytest.raises(UsageError, match="another process is writing here"),
    ):
        reopen_file(tmp_path / "x.jsonl")


def _fails_while_paused() -> None:
    with collector_paused():
        with collector_paused():
            pass
        assert not gc.isenabled()
        raise ValueError("broken")


def test_the_collector_runs_again_after_a_pause_that_failed() -> None:
    """A pause ends with its block, also by an error, and one inside another ends with the outer one."""
    with pytest.raises(ValueError, match="broken"):
        _fails_while_paused()

    assert gc.isenabled()
