"""Limits of the host: what memory or processes run out of is the machine's doing, not a defect."""

from __future__ import annotations

import click
import pytest

from quantroof.cli import main as line


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), 3),
        (RuntimeError("can't start new thread"), 3),
        (RuntimeError("another state than expected"), 70),
    ],
    ids=["memory", "thread", "defect"],
)
def test_memory_that_is_used_up_is_the_machines_doing(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line and exit code 3, as for every other lack of the machine; other errors stay defects."""

    @click.command()
    def broken() -> None:
        raise error

    monkeypatch.setattr(line.cli, "get_command", lambda *_: broken)
    with pytest.raises(SystemExit) as ended:
        line.main(["run"])

    assert ended.value.code == code
    told = "error: the memory or processes allowed here are used up, " if code == 3 else "error: a bug"
    assert capsys.readouterr().err.startswith(told)
