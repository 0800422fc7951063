"""The small language model on disk: trained once per machine, found again by the hash of its recipe."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from quantroof.errors import UsageError
from quantroof.files import cache_folder, writing
from quantroof.quality.environment import load
from quantroof.quality.lm.text import Texts, python_texts
from quantroof.quality.lm.train import Progress, Recipe, make_tokenizer, train

_HELD_OUT, _TRAIN = "held_out.txt", "train.txt"


@dataclass(frozen=True, slots=True)
class SmallModel:
    """A trained checkpoint with the text it learned from and the text it never saw."""

    checkpoint: Path
    train_text: Path
    held_out_text: Path
    digest: str


def small_model(
    recipe: Recipe, say: Progress, folder: Path | None = None, *, may_train: bool = True
) -> SmallModel:
    """The model of a recipe, trained now if it is not there yet; UsageError unless it may be trained.

    It appears whole or not at all: training writes beside and renames, so that two processes that train at
    once do not harm each other.
    """
    for library in ("tokenizers", "transformers"):
        load(library)  # what is missing is reported before the texts are read, which takes seconds
    texts = python_texts()
    digest = recipe.digest(texts.digest)
    home = (folder or cache_folder("models")) / digest
    model = SmallModel(home, home / _TRAIN, home / _HELD_OUT, digest)
    if (home / "config.json").exists():
        return model
    if not may_train:
        what = f"no model is named, and the small model is not trained here yet: {_task(recipe)}"
        raise UsageError(what, hint="--train trains it now, once for this machine; or name a MODEL")
    with writing(home.parent):
        home.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f"{digest}-", dir=home.parent))
    try:
        _build(recipe, texts, building, say)
        if not home.exists():
            building.rename(home)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return model


def _task(recipe: Recipe) -> str:
    return f"{recipe.tokens} tokens, about {recipe.cpu_seconds:.0f} CPU seconds"


def _build(recipe: Recipe, texts: Texts, folder: Path, say: Progress) -> None:
    say(f"training a small language model once for this machine: {_task(recipe)}")
    tokenizer = make_tokenizer(recipe, texts)
    model = train(recipe, texts, tokenizer, say)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    (folder / _TRAIN).write_text("".join(texts.train), encoding="utf-8")
    (folder / _HELD_OUT).write_text("".join(texts.held_out), encoding="utf-8")
