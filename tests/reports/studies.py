"""Studies for tests of the page: losses are made up, windows of different difficulty."""

from __future__ import annotations

from pathlib import Path

from quantroof.records.quality import QualityHeader, QualityResult, TextUsed, opened

WINDOWS = 16


def header(model: str = "small model") -> QualityHeader:
    """The header of a study of some model."""
    return QualityHeader(
        purpose="study",
        started_at="2026-11-21T00:00:00+00:00",
        command=("quantroof",),
        model=model,
        weights="0123456789abcdef",
        evaluation=TextUsed(source="held-out text", digest="0" * 16, windows=WINDOWS, window_tokens=64),
        calibration=None,
        seed=0,
        versions={},
        host={},
    )


def result(method: str, extra: float, scheme: str | None, *, windows: int = WINDOWS) -> QualityResult:
    """A method that loses `extra` nats a token, a little more or less in every second window."""
    losses = tuple(3 + i / 10 + extra * (1.1 if i % 2 else 0.9) for i in range(windows))
    return QualityResult(
        variant="base", method=method, weights="0", status="ok", scheme=scheme, window_losses=losses
    )


def written(file: Path, results: list[QualityResult], *, model: str = "small model") -> Path:
    """A study on disk."""
    with opened(file, header(model), resume=False) as study:
        for line in results:
            study.add(line)
    return file


RESULTS = [
    result("none", 0.0, None),
    result("fp8", 0.0007, "fp8-w8a8"),
    result("w4a16-g128", 0.01, "int4-w4a16"),
    result("gptq", 0.003, "int4-w4a16"),
    result("w8a8-token", 0.03, "int8-w8a8"),
    result("fp4", 0.012, None),
]
