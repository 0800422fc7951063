"""From what a user names to what is measured: a checkpoint or the small model, and texts cut for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from quantroof.errors import UsageError, unknown_name
from quantroof.quality.calibration import Mixture, build
from quantroof.quality.checkpoint import Checkpoint, open_checkpoint
from quantroof.quality.environment import use_device
from quantroof.quality.lm.cache import SmallModel, small_model
from quantroof.quality.lm.recipe import RECIPES
from quantroof.quality.lm.text import interpreter, python_texts
from quantroof.quality.study import Subject
from quantroof.quality.windows import Windows, pack, read_text

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "stored": None}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user asked for. Texts default to what ships with Python, the model to the small one."""

    model: Path | None = None
    recipe: str = "usable"
    text: Path | None = None
    calibration_text: Path | None = None
    domain_text: Path | None = None
    domain_share: float | None = None
    samples: int = 64
    window: int = 256
    most_windows: int | None = None
    dtype: str = "fp32"
    device: str = "cpu"
    seed: int = 0


def subject(wish: Wish, say: Callable[[str], None], *, calibrate: bool = True) -> Subject:
    """The checkpoint, its evaluation windows and a calibration set. UsageError says what does not fit."""
    if wish.dtype not in DTYPES:
        raise unknown_name("dtype", wish.dtype, list(DTYPES))
    device = use_device(wish.device)
    checkpoint = chosen_model(wish, say)
    longest = getattr(checkpoint.config(), "max_position_embeddings", None)
    if isinstance(longest, int) and wish.window > longest:
        raise UsageError(f"--window {wish.window} is longer than the model's context of {longest}")
    tokenizer = checkpoint.tokenizer()
    if wish.text is not None:
        text, source = read_text(wish.text), wish.text.name
    else:
        text, source = "".join(python_texts().held_out), f"held-out {interpreter()}"
    evaluation = pack(text, tokenizer, wish.window, source, wish.most_windows)
    made = _calibration(wish, tokenizer, evaluation) if calibrate else None
    return Subject(checkpoint, evaluation, made, DTYPES[wish.dtype], device)


def chosen_model(wish: Wish, say: Callable[[str], None]) -> Checkpoint:
    """The checkpoint that was named, or the small model, trained now if need be."""
    if wish.model is not None:
        return open_checkpoint(wish.model)
    if wish.recipe not in RECIPES:
        raise unknown_name("recipe", wish.recipe, list(RECIPES))
    trained: SmallModel = small_model(RECIPES[wish.recipe], say)
    return replace(open_checkpoint(trained.checkpoint), label=f"small model '{wish.recipe}'")


def _calibration(wish: Wish, tokenizer: Any, evaluation: Windows) -> Windows:
    if (wish.domain_text is None) != (not wish.domain_share):
        raise UsageError("--domain-text and --domain-share belong together")
    generic = read_text(wish.calibration_text) if wish.calibration_text else "".join(python_texts().train)
    mixture = Mixture(wish.samples, wish.window, wish.domain_share or 0.0, wish.seed)
    return build(
        mixture,
        tokenizer,
        generic=generic,
        domain=read_text(wish.domain_text) if wish.domain_text else "",
        evaluation=evaluation,
    )
