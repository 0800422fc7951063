"""Run files: what is written is read back, what is foreign is kept or refused, nothing measured is lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from quantroof.bench.run import new_job
from quantroof.bench.suite import parse
from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.hwprofiles.detect import Detection
from quantroof.hwprofiles.select import select
from quantroof.kernels.cases import Case
from quantroof.records.directory import RunWriter, read_run
from quantroof.records.latest import FILE_NAME
from quantroof.records.run import Host, Imported, RunEnd, RunOptions
from tests.builders import info, write
from tests.runs import cpu_run

END = RunEnd(finished_at="2026-01-01T00:00:00+00:00", outcome="complete")


def _file(tmp_path: Path) -> Path:
    write(cpu_run(), tmp_path / "run")
    return tmp_path / "run" / FILE_NAME


def test_round_trip(tmp_path: Path) -> None:
    """Every line comes back equal."""
    run = cpu_run()
    write(run, tmp_path / "run")
    again = read_run(tmp_path / "run")

    assert again.info == run.info
    assert again.ceilings == run.ceilings
    assert again.measurements == run.measurements


def test_a_measurement_knows_its_case(tmp_path: Path) -> None:
    """The case is parsed when a measurement is read, and its text alone is stored."""
    file = _file(tmp_path)

    assert all(m.parsed_case == Case.parse(m.case) for m in read_run(file).measurements)
    assert "parsed_case" not in file.read_text()


def test_unknown_kinds_are_kept(tmp_path: Path) -> None:
    """A line of a kind that a later version writes is kept as it was."""
    file = _file(tmp_path)
    line = {"kind": "hologram", "depth": [1, {"deep": None}]}
    file.write_text(file.read_text() + json.dumps(line) + "\n")

    (kept,) = read_run(file).unknown
    assert kept.kind == "hologram"
    assert kept.data == line


def test_half_a_last_line_is_forgiven_and_dropped_on_resume(tmp_path: Path) -> None:
    """A writer killed in the middle of a line costs that line only."""
    file = _file(tmp_path)
    before = len(read_run(file).measurements)
    file.write_bytes(file.read_bytes() + b'{"kind":"measurement","dev')

    assert read_run(file).truncated
    with RunWriter.reopen(file.parent) as writer:
        writer.write(END)
    again = read_run(file)
    assert not again.truncated
    assert (len(again.measurements), again.complete) == (before, True)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not JSON"),
        (b"\x89PNG\r\n\x1a\n", "not JSON"),
        (b'{"hello": 1}\n', "no schema"),
        (b"[1, 2]\n", "no schema"),
        (b'{"kind": "run", "schema": "quantroof-run/99"}\n', "upgrade quantroof"),
        (b'{"kind": "run", "schema": "quantroof-run/1"}\n', "line 1 is broken"),
        (
            b'{"kind": "end", "schema": "quantroof-run/1", "finished_at": "x", "outcome": "complete"}\n',
            "not a run header",
        ),
    ],
)
def test_foreign_files_are_refused_in_one_line(tmp_path: Path, content: bytes, words: str) -> None:
    """The message names the file and what is wrong with it."""
    file = tmp_path / "run.jsonl"
    file.write_bytes(content)

    with pytest.raises(UsageError, match=words) as caught:
        read_run(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def _timed_measurement(file: Path) -> dict[str, Any]:
    lines: list[dict[str, Any]] = [json.loads(line) for line in file.read_text().splitlines()]
    return next(line for line in lines if line["kind"] == "measurement" and line["status"] == "ok")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"case": "gemm/../../etc/passwd"}, "not a case id"),
        ({"status": "ok", "timing": None}, "needs timing samples"),
        ({"status": "splendid"}, "Invalid enum value"),
        ({"flops": "many"}, "Expected `int`"),
        ({"status": "failed", "timing": None, "reason": None}, "needs a reason"),
    ],
)
def test_a_broken_line_is_named_by_its_number(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    """A whole line that does not fit is refused with its number, not skipped."""
    file = _file(tmp_path)
    count = len(file.read_text().splitlines())
    line = _timed_measurement(file) | change
    file.write_text(file.read_text() + json.dumps(line) + "\n")

    with pytest.raises(UsageError, match=words) as caught:
        read_run(file)
    assert f"line {count + 1}" in str(caught.value)


def test_negative_and_nan_samples_are_refused(tmp_path: Path) -> None:
    """A time that is not a positive number is not a measurement."""
    file = _file(tmp_path)
    line = _timed_measurement(file)
    line["timing"]["samples_ns"] = [1.0, -2.0]
    file.write_text(file.read_text() + json.dumps(line) + "\n")

    with pytest.raises(UsageError, match="not a positive number"):
        read_run(file)


def test_a_directory_holds_one_run(tmp_path: Path) -> None:
    """A second run into the same directory is refused with a hint what to do."""
    _file(tmp_path)

    with pytest.raises(UsageError, match="--resume"):
        RunWriter.create(tmp_path / "run", cpu_run().info)


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A file in the way is an environment error in one line; root may write anywhere."""
    (tmp_path / "file").write_text("")

    with pytest.raises(EnvironmentMissing, match="cannot be written"):
        RunWriter.create(tmp_path / "file" / "run", cpu_run().info)


def test_a_file_in_the_way_is_named_as_such(tmp_path: Path) -> None:
    """If --out is a file, the message does not suggest --resume."""
    target = tmp_path / "notes.txt"
    target.write_text("mine")

    with pytest.raises(UsageError, match="is a file"):
        RunWriter.create(target, cpu_run().info)
    assert target.read_text() == "mine"


def test_a_header_built_by_tests_has_what_a_run_writes() -> None:
    """The builders fill every field that `new_job` fills on a simulated device; host and options too."""
    options = RunOptions(suite="quick", devices=("sim:h100-sxm5-80gb",), formats=("bf16",))
    device = select(Detection(devices=()), options.devices)
    real, built = new_job(options, device, ("quantroof", "run")).info, info(device, simulated=True)

    for one, other in ((real, built), (real.host, built.host), (real.options, built.options)):
        assert set(msgspec.to_builtins(one)) == set(msgspec.to_builtins(other))
    assert parse(built.suite_source, built.suite).name == built.suite
    assert None not in msgspec.structs.astuple(real.host)


def test_a_host_named_by_node_is_read(tmp_path: Path) -> None:
    """An early file has `node` and `os` in its host and few settings: the rest has its default."""
    file = _file(tmp_path)
    first, _, rest = file.read_text().partition("\n")
    header = {**json.loads(first), "host": {"node": "n1", "os": "Linux"}, "settings": {"mode": "sustained"}}
    file.write_text(f"{json.dumps(header)}\n{rest}")

    run = read_run(file).info
    assert run.host == Host(name="n1")
    assert run.options == RunOptions(mode="sustained")


@pytest.mark.parametrize("inside", [True, False])
def test_a_folder_of_runs_is_told_from_an_empty_one(tmp_path: Path, *, inside: bool) -> None:
    """Where there are runs in it, the newest is one name away."""
    if inside:
        write(cpu_run(), tmp_path / "run")
    with pytest.raises(UsageError, match=f"no {FILE_NAME} here") as refused:
        read_run(tmp_path)

    assert (refused.value.hint == f"{tmp_path}/latest is its newest run") is inside


def test_times_of_others_are_read_only_where_they_are_asked_for(tmp_path: Path) -> None:
    """No gate, fleet or history takes what another machine measured; a run of this one is read either way."""
    own, theirs = cpu_run(), cpu_run()
    source = Imported(source="a table", version="1", license="MIT", framework="vLLM", rule="by graphs")
    theirs.info = msgspec.structs.replace(theirs.info, imported=source)
    write(own, tmp_path / "own")
    write(theirs, tmp_path / "theirs")

    assert read_run(tmp_path / "own").info == read_run(tmp_path / "own", imported=True).info == own.info
    assert read_run(tmp_path / "theirs", imported=True).info == theirs.info
    with pytest.raises(UsageError, match="others measured"):
        read_run(tmp_path / "theirs")


@pytest.mark.parametrize(
    ("line", "words"),
    [("[1, 2]", "has no kind"), ("3", "has no kind"), ('{"kind": 5}', "has no kind"), ("{oops", "is broken")],
)
def test_a_line_that_is_no_record_is_told_from_a_broken_one(tmp_path: Path, line: str, words: str) -> None:
    """JSON of another shape is from another program; what is not JSON may be a damaged disk."""
    file = _file(tmp_path)
    count = len(file.read_text().splitlines())
    file.write_text(f"{file.read_text()}{line}\n")

    with pytest.raises(UsageError, match=f"line {count + 1} {words}"):
        read_run(file)
