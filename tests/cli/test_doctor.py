"""`quantroof doctor`: options that belong to another of its questions."""

from __future__ import annotations

import pytest

from quantroof.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--time-limit", "5"], "--kernel and --time-limit belong to --self-test"),
        (["--burn-in", "--kernel", "x.py:K"], "--kernel and --time-limit belong to --self-test"),
        (["--self-test", "--device", "cpu", "--kernel", "K"], "'K' does not name a kernel"),
        (["--self-test", "--device", "cpu", "--kernel", "/no/x.py:K"], "/no/x.py: no such file"),
    ],
)
def test_options_of_the_self_test_are_refused_before_anything_runs(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    """Beside another question, or with a kernel that is not there, they are a usage error."""
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *arguments])

    assert ended.value.code == 2
    assert words in capsys.readouterr().err
