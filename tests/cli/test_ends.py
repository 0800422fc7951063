"""How the command line ends: one line for an error, an exit code that is not a false verdict."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from quantroof.cli import main as line
from quantroof.cli.options import POSITIVE, SHARE
from quantroof.errors import unknown_name

ROOT = Path(__file__).parent.parent.parent


def _started(*arguments: str, stdout: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "quantroof", *arguments]
    return subprocess.run(command, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)


@pytest.mark.parametrize("arguments", [("hardware", "list", "--json"), ("hardware", "list"), ("--version",)])
def test_a_reader_that_left_is_neither_a_pass_nor_a_finding(arguments: tuple[str, ...]) -> None:
    """`quantroof ... | head -1` ends with 141, as every tool that SIGPIPE stops, without a word."""
    read, write = os.pipe()
    os.close(read)
    done = _started(*arguments, stdout=write)
    os.close(write)

    assert (done.returncode, done.stderr) == (141, "")


def test_a_full_disk_is_one_line() -> None:
    """stdout on a device without space: exit 3 and the reason."""
    with Path("/dev/full").open("w") as full:
        done = _started("hardware", "list", stdout=full.fileno())

    assert (done.returncode, done.stderr) == (3, "error: No space left on device\n")


def test_clicks_own_errors_are_one_line_with_the_way_to_help(capsys: pytest.CaptureFixture[str]) -> None:
    """A missing argument: what, and which help to read; exit 2."""
    with pytest.raises(SystemExit) as ended:
        line.main(["profile"])

    assert ended.value.code == 2
    assert capsys.readouterr().err == "error: Missing argument 'RUN'. (quantroof profile --help)\n"


def test_a_defect_is_no_regression(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception nobody foresaw: one line, exit 70 and not 1; with QUANTROOF_TRACEBACK it is raised."""

    @click.command()
    def broken() -> None:
        raise KeyError("lost")

    monkeypatch.setattr(line.cli, "get_command", lambda *_: broken)
    with pytest.raises(SystemExit) as ended:
        line.main(["gate"])
    assert ended.value.code == 70
    assert capsys.readouterr().err.startswith("error: a bug in quantroof: KeyError: 'lost' (")

    monkeypatch.setenv("QUANTROOF_TRACEBACK", "1")
    with pytest.raises(KeyError):
        line.main(["gate"])


@pytest.mark.parametrize("exit_code", [0, 1, "enough"])
def test_a_foreign_exit_is_not_a_reader_that_left(
    exit_code: int | str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code we run calls sys.exit: one line that says so and exit 2, neither success nor 141."""

    @click.command()
    def leaving() -> None:
        sys.exit(exit_code)

    monkeypatch.setattr(line.cli, "get_command", lambda *_: leaving)
    with pytest.raises(SystemExit) as ended:
        line.main(["run"])

    assert ended.value.code == 2
    told = f"error: a kernel or a library called sys.exit({exit_code!r})\n"
    assert capsys.readouterr().err == told


@pytest.mark.parametrize(
    ("module", "code", "told"),
    [
        ("torch", 3, "error: a library cannot be imported, ImportError: no libcudart"),
        ("quantroof.gate.judge", 70, "error: a bug in quantroof: ImportError: no libcudart"),
    ],
)
def test_a_broken_library_is_the_machines_doing(
    module: str, code: int, told: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 3 and the way to doctor, unless it is a module of ours that cannot be imported."""

    @click.command()
    def broken() -> None:
        raise ImportError("no libcudart", name=module)

    monkeypatch.setattr(line.cli, "get_command", lambda *_: broken)
    with pytest.raises(SystemExit) as ended:
        line.main(["compile"])

    assert ended.value.code == code
    assert capsys.readouterr().err.startswith(told)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "NaN"])
def test_numbers_are_finite(text: str) -> None:
    """NaN passes click's own ranges: a gate with such a threshold would find nothing."""
    for kind in (SHARE, POSITIVE):
        with pytest.raises(click.BadParameter):
            kind.convert(text, None, None)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("H100", "did you mean h100-sxm5-80gb or h100-pcie?"),
        ("H200-SXM", "did you mean h200-sxm?"),
        ("h200-smx", "did you mean h200-sxm or"),
        ("", "one of: a100, h100-pcie, h100-sxm5-80gb, h200-sxm"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_contain_it(name: str, hint: str) -> None:
    """Half a name, another case, a slip of the finger; nothing near lists them all."""
    known = ["a100", "h100-sxm5-80gb", "h100-pcie", "h200-sxm"]

    assert hint in str(unknown_name("GPU", name, known))


def test_a_mistyped_command_is_answered_with_the_nearest_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """Commands and subcommands alike; exit code 2."""
    for words, near in (("docter", "doctor"), ("hardware lst", "list"), ("quality formts", "formats")):
        with pytest.raises(SystemExit) as ended:
            line.main(words.split())
        assert ended.value.code == 2
        assert f"did you mean {near}" in capsys.readouterr().err


def _exit_code(shell: str) -> int:
    """The exit code of quantroof with streams as the shell opens them."""
    command = f'"{sys.executable}" -m quantroof {shell}'
    return subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, check=False).returncode


@pytest.mark.parametrize(
    ("shell", "code"),
    [
        ("show nothing 2>/dev/full", 2),
        ("show nothing >/dev/full 2>/dev/full", 2),
        ("hardware show nothing 2>&-", 2),
        ("hardware list 2>&-", 0),
        ("hardware list >&-", 0),
    ],
)
def test_the_exit_code_survives_streams_that_cannot_be_written(shell: str, code: int) -> None:
    """Full and closed streams: an error that cannot be printed does not look like a regression (1)."""
    assert _exit_code(shell) == code


def test_a_name_beyond_the_terminals_encoding_is_an_escape() -> None:
    """A table with Δ on a Latin-1 terminal: escape sequences instead of a defect."""
    code = "from quantroof.cli.streams import harden; harden(); import sys; sys.stdout.write('\\u0394')"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
    )  # fmt: skip

    assert (done.returncode, done.stdout) == (0, b"\\u0394")
