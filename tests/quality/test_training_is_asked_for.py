"""Training takes minutes of the machine, so it starts only where somebody asked for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.errors import UsageError
from quantroof.quality.lm import cache
from quantroof.quality.lm.text import Texts
from quantroof.quality.lm.train import RECIPES, USABLE


def test_without_asking_nothing_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what would be trained, how long that takes, and how to ask; no folder is left behind.
    A model that is there already is used without asking.
    """
    monkeypatch.setattr(cache, "load", lambda _library: None)
    texts = Texts(train=("a",), held_out=("b",))
    monkeypatch.setattr(cache, "python_texts", lambda: texts)

    with pytest.raises(UsageError, match=r"665600 tokens, about 160 CPU seconds.*--train"):
        cache.small_model(USABLE, lambda _: None, tmp_path / "models", may_train=False)
    assert list(tmp_path.iterdir()) == []

    there = tmp_path / "models" / USABLE.digest(texts.digest)
    there.mkdir(parents=True)
    (there / "config.json").write_text("{}", encoding="utf-8")
    found = cache.small_model(USABLE, lambda _: None, tmp_path / "models", may_train=False)
    assert found.checkpoint == there


def test_the_estimate_follows_the_work() -> None:
    """`good` repeats the steps of `usable` 1500 / 650 times; `tiny` is a matter of seconds."""
    assert RECIPES["good"].cpu_seconds == pytest.approx(160 * 1500 / 650)
    assert RECIPES["tiny"].cpu_seconds < 10
