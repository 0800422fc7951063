"""Write a quantized checkpoint and measure what comes back when it is loaded again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch

from quantroof.analysis.paired import Difference, paired_difference
from quantroof.errors import EnvironmentMissing
from quantroof.files import not_written
from quantroof.quality.checkpoint import open_checkpoint, weight_files
from quantroof.quality.environment import load, quiet
from quantroof.quality.methods import Method
from quantroof.quality.quantizing import quantized
from quantroof.quality.refusals import refusal_text
from quantroof.quality.study import StudySubject
from quantroof.quality.windows import window_losses


@dataclass(frozen=True, slots=True)
class Written:
    """A quantized checkpoint: what it took to make, its size, and its loss after reloading."""

    seconds: float
    peak_bytes: int
    stored_bytes: int
    original_bytes: int
    loss: float
    difference: Difference


def write_quantized(subject: StudySubject, method: Method, out: Path) -> Written:
    """Quantize, save with the tokenizer, free, reload from disk, measure against the original."""
    with _writing_to(out):  # a bad folder fails now, not after an hour of quantizing
        out.mkdir(parents=True, exist_ok=True)
    source = subject.checkpoint
    model = quantized(
        method, source, calibration=subject.calibration, dtype=subject.dtype, device=subject.device
    )
    seconds, peak_bytes = model.seconds, model.peak_bytes
    with quiet(), _writing_to(out):
        model.model.save_pretrained(out)  # type: ignore[operator]
        source.tokenizer().save_pretrained(out)
    del model
    dtype = torch.bfloat16 if method.unpacks_to_bf16 else subject.dtype
    with quiet():  # weights are unpacked in the first forward pass, under a bar
        reloaded = open_checkpoint(out).model(dtype, subject.device)
        after = window_losses(reloaded, subject.evaluation)
    del reloaded
    before = window_losses(source.model(subject.dtype, subject.device), subject.evaluation)
    return Written(
        seconds=seconds,
        peak_bytes=peak_bytes,
        stored_bytes=_size(out),
        original_bytes=_size(source.path),
        loss=fmean(after),
        difference=paired_difference(before, after),
    )


@contextmanager
def _writing_to(out: Path) -> Iterator[None]:
    """EnvironmentMissing if a disk is full or a folder is not writable; safetensors has its own error."""
    try:
        yield
    except OSError as error:
        raise not_written(error, out) from None
    except load("safetensors").SafetensorError as error:
        raise EnvironmentMissing(f"cannot be written: {refusal_text(error)}", where=str(out)) from None


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(path))
