"""`latest` names the newest run of runs/ wherever a command takes runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.cli.main import main
from tests.builders import write
from tests.runs import gpu_run


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("fleet", "latest"), "1 GPU on 1 node: 1 ok"),
        (("compact", "latest", "--out", "part.parquet"), "part.parquet"),
        (("history", "latest", "--all"), "bf16, M 1, 4096x4096, torch.bf16"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_commands_over_many_runs_take_the_newest(
    command: tuple[str, ...], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """They read that run, and no command reports that `latest` does not exist."""
    monkeypatch.chdir(tmp_path)
    write(gpu_run(run_id="the-newest", simulated=True), tmp_path / "runs" / "the-newest")
    with pytest.raises(SystemExit):
        main(list(command))

    shown = capsys.readouterr()
    assert expected in shown.out
    assert "latest" not in shown.err


def test_history_says_which_folder_does_not_exist(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that is not there is a usage error, and so is `latest` where nothing was measured."""
    monkeypatch.chdir(tmp_path)
    for name, told in (("nowhere", "nowhere: does not exist"), ("latest", "no run in runs/")):
        with pytest.raises(SystemExit) as exit_:
            main(["history", name])
        assert exit_.value.code == 2
        assert told in capsys.readouterr().err
