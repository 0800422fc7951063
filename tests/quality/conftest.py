"""The small language model of the tests: 200 steps, trained once a session; and a smaller one, untrained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from quantroof.cli.main import main
from quantroof.quality.lm.cache import SmallModel, small_model
from quantroof.quality.lm.train import TINY
from tests.quality.extras import needs


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SmallModel:
    """The 200-step model. One thread: the matrices are too small to share."""
    needs("transformers")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return small_model(TINY, lambda _: None, tmp_path_factory.mktemp("models"))
    finally:
        torch.set_num_threads(threads)


@pytest.fixture
def run_command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a quality command; gives its exit code, stdout and stderr."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["quality", *map(str, arguments)])
        captured = capsys.readouterr()
        code = ended.value.code
        return int(code) if code is not None else 0, captured.out, captured.err

    return run
