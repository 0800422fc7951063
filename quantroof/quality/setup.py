"""Prepare a study: load a checkpoint or the small model, and cut texts for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from quantroof.errors import UsageError, unknown_name
from quantroof.files import read_text
from quantroof.quality.calibration import Mixture, build
from quantroof.quality.checkpoint import Checkpoint, open_checkpoint
from quantroof.quality.environment import use_device
from quantroof.quality.lm.cache import SmallModel, small_model
from quantroof.quality.lm.text import interpreter, python_texts
from quantroof.quality.lm.train import RECIPES
from quantroof.quality.study import StudySubject
from quantroof.quality.windows import Windows, pack

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16, "stored": None}


@dataclass(frozen=True, slots=True)
class StudyOptions:
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
    train: bool = False
    """Train the small model if it is needed and not there yet."""


def study_subject(
    options: StudyOptions, say: Callable[[str], None], *, calibrate: bool = True
) -> StudySubject:
    """The checkpoint, its evaluation windows and a calibration set. UsageError names what does not fit."""
    if options.dtype not in DTYPES:
        raise unknown_name("dtype", options.dtype, list(DTYPES))
    device = use_device(options.device)
    checkpoint = model_of(options, say)
    longest = getattr(checkpoint.config(), "max_position_embeddings", None)
    if isinstance(longest, int) and options.window > longest:
        raise UsageError(f"--window {options.window} is longer than the model's context of {longest}")
    tokenizer = checkpoint.tokenizer()
    if options.text is not None:
        text, source = read_text(options.text), options.text.name
    else:
        text, source = "".join(python_texts().held_out), f"held-out {interpreter()}"
    evaluation = pack(text, tokenizer, options.window, source, options.most_windows)
    calibration = _calibration(options, tokenizer, evaluation) if calibrate else None
    return StudySubject(checkpoint, evaluation, calibration, DTYPES[options.dtype], device)


def model_of(options: StudyOptions, say: Callable[[str], None]) -> Checkpoint:
    """The checkpoint of `options.model`, or the small model, trained first if that was asked for."""
    if options.model is not None:
        return open_checkpoint(options.model)
    if options.recipe not in RECIPES:
        raise unknown_name("recipe", options.recipe, list(RECIPES))
    small: SmallModel = small_model(RECIPES[options.recipe], say, may_train=options.train)
    return replace(open_checkpoint(small.checkpoint), label=f"small model '{options.recipe}'")


def _calibration(options: StudyOptions, tokenizer: Any, evaluation: Windows) -> Windows:
    if (options.domain_text is None) != (not options.domain_share):
        raise UsageError("--domain-text and --domain-share belong together")
    generic = (
        read_text(options.calibration_text) if options.calibration_text else "".join(python_texts().train)
    )
    mixture = Mixture(options.samples, options.window, options.domain_share or 0.0, options.seed)
    return build(
        mixture,
        tokenizer,
        generic=generic,
        domain=read_text(options.domain_text) if options.domain_text else "",
        evaluation=evaluation,
    )
