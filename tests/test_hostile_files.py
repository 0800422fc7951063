"""Files that nobody meant to write: pipes, devices, deep nesting, endless words, numbers that are none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from quantroof.cli.output import echo_json
from quantroof.errors import UsageError, shortened
from quantroof.files import toml_table
from tests.builders import write
from tests.commands import call
from tests.runs import cpu_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory."""
    return write(cpu_run(), tmp_path / "run")


def _error(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    capsys.readouterr()
    code = call(*arguments)
    return code, capsys.readouterr().err


@pytest.mark.parametrize(
    "command", ["show", "report", "compare", "advise", "claims", "fleet", "history", "profile"]
)
def test_a_pipe_is_not_a_run(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody writes into it, so reading it would never end: one line, exit code 2."""
    os.mkfifo(tmp_path / "run.jsonl")
    asked: dict[str, tuple[str | Path, ...]] = {
        "compare": (tmp_path, tmp_path),
        "advise": ("--model", "llama-3.1-8b", "--run", tmp_path),
        "claims": ("--run", tmp_path),
        "export": (tmp_path, "--to", "json"),
    }
    code, text = _error(capsys, command, *asked.get(command, (tmp_path,)))

    assert code == 2
    assert "is a pipe, a device or a socket" in text
    assert len(text.splitlines()) <= 2


def test_an_endless_device_is_not_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link to /dev/zero would fill the memory of the host."""
    (tmp_path / "run.jsonl").symlink_to("/dev/zero")

    assert _error(capsys, "show", tmp_path) == (
        2, f"error: {tmp_path}/run.jsonl: is a pipe, a device or a socket, not a file\n",
    )  # fmt: skip


@pytest.mark.parametrize("lines", [0, 1], ids=["first", "second"])
def test_deep_nesting_is_a_broken_line(lines: int, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """200,000 brackets exceed Python's stack; the error names the file and not the stack."""
    file = run / "run.jsonl"
    kept = file.read_bytes().splitlines(keepends=True)[:lines]
    file.write_bytes(b"".join(kept) + b'{"kind":"z","x":' + b"[" * 200_000 + b"\n")
    code, text = _error(capsys, "show", run)

    assert code == 2
    assert str(file) in text
    assert "recursion" not in text


def test_deep_nesting_in_a_suite_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """TOML, too."""
    suite = tmp_path / "deep.toml"
    suite.write_text('schema = "quantroof-suite/1"\nx = ' + "[" * 100_000)

    assert _error(capsys, "run", "--suite", suite, "--dry-run") == (
        2, f"error: {suite}: not TOML: it is nested too deeply\n",
    )  # fmt: skip


@pytest.mark.parametrize("number", ["inf", "-inf", "nan", "1e999"])
def test_every_number_of_a_setting_is_finite(number: str) -> None:
    """TOML has infinity: with it as a threshold a gate would pass everything."""
    with pytest.raises(UsageError) as raised:
        toml_table(f"[[rule]]\nabsolute_ns = {number}", "policy.toml")

    assert str(raised.value) == "policy.toml: rule[0].absolute_ns: needs a finite number"


@pytest.mark.parametrize(("length", "shown"), [(299, "q" * 299), (300, f"{'q' * 60}... (300 characters)")])
def test_an_error_line_stays_readable(length: int, shown: str) -> None:
    """A word of 300 characters is cut to its beginning and its length, a shorter one is kept."""
    assert str(UsageError(f"unknown format {'q' * length} here")) == f"unknown format {shown} here"


def test_a_long_error_text_is_cut() -> None:
    """2,000 characters of short words, however many a file holds."""
    assert shortened("w " * 1000) == "w " * 1000
    assert shortened("w " * 5000) == "w " * 1000 + "... (10000 characters)"


def test_json_has_null_for_a_number_that_overflowed(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON knows neither infinity nor NaN; other readers would refuse the document."""
    echo_json("x", {"a": [1.0, float("inf")], "b": {"c": float("nan")}})

    assert '"a": [\n    1.0,\n    null\n  ],\n  "b": {\n    "c": null\n  }' in capsys.readouterr().out


@pytest.mark.parametrize("command", ["fleet", "history"])
def test_one_bad_input_costs_a_line(
    command: str, tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pipe and a run nested too deeply among good runs are named, and the rest is analyzed."""
    bad = tmp_path / "bad"
    shutil.copytree(run, bad)
    with (bad / "run.jsonl").open("ab") as file:
        file.write(b'{"kind":"z","x":' + b"[" * 200_000 + b"\n")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "run.jsonl")
    code, text = _error(capsys, command, tmp_path)

    assert code in (0, 4)
    assert "nested too deeply" in text
    assert "is a pipe, a device or a socket" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"process":0', '"process":1000000000000000', "Expected `int` <= 1000000"),
        ('"processes":1', '"processes":9223372036854775808', "Expected `int` <= 1000"),
        ('"samples_ns":[', '"samples_ns":[1e300,', "a sample is not within 1e-06 and 1e+18 ns"),
        ('"samples_ns":[', '"samples_ns":[1e-300,', "a sample is not within 1e-06 and 1e+18 ns"),
        ('"usable_cores":2', '"usable_cores":1' + "0" * 400, "Expected `int` <= 4611686018427387904"),
        ('"bytes_moved":', '"bytes_moved":-', "Expected `int` >= 0"),
        ('"compute_capability":null', '"compute_capability":"x"', "Expected `str` matching regex"),
    ],
)
def test_a_number_no_machine_has_is_refused(
    old: str, new: str, words: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It names the line and the field, before a sum or a product overflows."""
    file = run / "run.jsonl"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))

    code, error = _error(capsys, "show", run)
    assert code == 2
    assert words in error
    assert "line " in error
    assert " is broken: " in error


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", "--dry-run", "--processes", "1001"),
        ("run", "--dry-run", "--seed", str(2**63)),
        ("run", "--dry-run", "--case-timeout", "1000001"),
        ("hardware", "derive", "--clock-mhz", "1e13"),
        ("advise", "--model", "llama-3.1-8b", "--gpu", "l4", "--price", "1e308"),
    ],
    ids=lambda arguments: arguments[-2],
)
def test_a_number_of_an_option_has_a_bound(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Beyond it the command would not end, or its arithmetic would overflow."""
    code, text = _error(capsys, *arguments)

    assert code == 2
    assert f"'{arguments[-1]}' is too large" in text


def test_a_damaged_page_costs_its_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Columns that nothing but the damaged values need: the part is named and left out, the rest is kept."""
    pytest.importorskip("duckdb")
    part = Path(__file__).parent / "data" / "first_format" / "part.parquet"
    bad, data = tmp_path / "bad.parquet", bytearray(part.read_bytes())
    data[300:2000] = bytes(1700)
    bad.write_bytes(data)
    code, text = _error(capsys, "compact", bad, part, "--out", tmp_path / "all.parquet")

    assert code == 0
    assert text.startswith(f"warning: {bad}: cannot be read: ")
    assert len(text.splitlines()) == 1
