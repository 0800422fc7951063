"""The study: every method on every variant of a model, each measured on the same windows of text."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from quantroof.errors import EnvironmentMissing, UsageError, unknown_name
from quantroof.quality.checkpoint import Checkpoint, open_checkpoint
from quantroof.quality.lm.outliers import induce_outliers
from quantroof.quality.methods import METHODS, Method
from quantroof.quality.quantizing import quantized
from quantroof.quality.windows import Windows, window_losses
from quantroof.records.quality import BASELINE, QualityHeader, QualityResult

VARIANTS = ("base", "outliers")
_VERSIONS = ("torch", "transformers", "accelerate", "bitsandbytes", "llmcompressor", "compressed-tensors")


@dataclass(frozen=True, slots=True)
class StudySubject:
    """What is measured: a checkpoint, the text that judges it, the text that calibrates, where it runs.

    In fp32 the rounding of the arithmetic around a method does not hide its difference; a model that is too
    large for fp32 is studied in its own dtype (`dtype` None).
    """

    checkpoint: Checkpoint
    evaluation: Windows
    calibration: Windows | None
    dtype: torch.dtype | None = torch.float32
    device: str = "cpu"


def header(subject: StudySubject, purpose: str, seed: int) -> QualityHeader:
    """The first line of a study's file."""
    calibration = subject.calibration
    return QualityHeader(
        purpose="sensitivity" if purpose == "sensitivity" else "study",
        started_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=tuple(sys.argv),
        model=subject.checkpoint.name,
        weights=subject.checkpoint.weights_digest(),
        evaluation=subject.evaluation.used(),
        calibration=None if calibration is None else calibration.used(),
        seed=seed,
        versions={"python": platform.python_version(), **_versions()},
        host={"machine": platform.machine(), "cores": os.cpu_count(), "device": subject.device},
    )


def check_variants(names: Sequence[str]) -> None:
    """UsageError for a name that is not in VARIANTS."""
    for name in names:
        if name not in VARIANTS:
            raise unknown_name("variant", name, list(VARIANTS))


def run_study(
    subject: StudySubject,
    methods: Sequence[Method],
    variants: Sequence[str] = VARIANTS,
    done: frozenset[tuple[str, str, str | None]] = frozenset(),
) -> Iterator[QualityResult]:
    """Yield a result for every variant and method that is not `done`, each variant's own baseline first."""
    check_variants(variants)
    ordered = [METHODS[BASELINE], *(m for m in methods if m.name != BASELINE)]
    for name in variants:
        missing = [m for m in ordered if (name, m.name, None) not in done]
        if not missing:
            continue
        with _variant(subject.checkpoint, name) as checkpoint:
            digest = checkpoint.weights_digest()
            for method in missing:
                yield measure(subject, checkpoint, method, name, digest)


def measure(
    subject: StudySubject, checkpoint: Checkpoint, method: Method, variant: str, weights: str
) -> QualityResult:
    """Quantize and measure once. A method that cannot run here gives a skipped result with the reason."""
    calibration = subject.calibration if method.calibrated else None
    result = partial(
        QualityResult,
        variant=variant,
        method=method.name,
        weights=weights,
        library=method.library,
        scheme=method.scheme,
        calibration=None if calibration is None else calibration.digest,
    )
    try:
        model = quantized(
            method, checkpoint, calibration=calibration, dtype=subject.dtype, device=subject.device
        )
        losses = window_losses(model.model, subject.evaluation)
    except EnvironmentMissing as error:
        return result(status="skipped", reason=str(error))
    except UsageError as error:
        return result(status="failed", reason=str(error))
    return result(
        status="ok",
        window_losses=losses,
        quantize_s=model.seconds,
        quantize_peak_bytes=model.peak_bytes,
    )


@contextmanager
def _variant(checkpoint: Checkpoint, name: str) -> Iterator[Checkpoint]:
    """The checkpoint itself, or a temporary copy of it with outliers, in fp32."""
    if name == "base":
        yield checkpoint
        return
    with TemporaryDirectory(prefix="quantroof-outliers-") as folder:
        model = checkpoint.model(torch.float32)
        induce_outliers(model)
        model.save_pretrained(folder)  # type: ignore[operator]
        checkpoint.tokenizer().save_pretrained(folder)
        del model
        yield open_checkpoint(Path(folder))


def _versions() -> dict[str, str]:
    versions = {}
    for package in _VERSIONS:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return versions
