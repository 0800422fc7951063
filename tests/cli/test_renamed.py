"""Options that were renamed: the old spelling still works, with one line, and no help shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.cli.main import main
from tests.builders import write
from tests.runs import gpu_run


def _called(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main(list(map(str, words)))
    shown = capsys.readouterr()
    return int(exit_.value.code or 0), shown.out, shown.err


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A simulated run in a directory."""
    return write(gpu_run(simulated=True), tmp_path / "run")


def test_an_old_spelling_works_and_names_the_new_one(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`report --format md` writes what `--to md` writes."""
    new = _called(capsys, "report", saved, "--to", "md", "--out", "-")
    old = _called(capsys, "report", saved, "--format", "md", "--out", "-")

    assert (new[0], old[0]) == (0, 0)
    assert old[1] == new[1] != ""
    assert "--format is now called --to" in old[2]
    assert "is now called" not in new[2]


def test_an_old_spelling_is_checked_like_the_new_one(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A value that the option refuses is refused under both names, and the new name wins over the old."""
    code, _, err = _called(capsys, "compare", saved, saved, "--floor", "2")
    assert code == 2
    assert "--min-effect': 2.0 is not in the range" in err
    assert _called(capsys, "compare", saved, saved, "--floor", "2", "--min-effect", "0.1")[0] != 2


@pytest.mark.parametrize(
    ("command", "old"),
    [
        (("report",), "--baseline"),
        (("show",), "--baseline"),
        (("compare",), "--floor"),
        (("doctor",), "--gpus"),
        (("fleet", "launch"), "--gpus "),
    ],
)
def test_no_help_shows_an_old_spelling(
    command: tuple[str, ...], old: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A help text names the new spelling alone."""
    assert old not in _called(capsys, *command, "--help")[1]
