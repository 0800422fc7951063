"""Studies of a made-up model for tests; no figure here is a result."""

from __future__ import annotations

from quantroof.records.quality import QualityHeader, QualityResult, QualityStudy, TextUsed

HEADER = QualityHeader(
    purpose="study",
    started_at="2026-11-21T00:00:00+00:00",
    command=("quantroof",),
    model="some model",
    weights="0" * 16,
    evaluation=TextUsed(source="text", digest="0" * 16, windows=10, window_tokens=64),
    calibration=None,
    seed=0,
    versions={},
    host={},
)


def study(losses: dict[tuple[str, str], float], seconds: dict[str, float] | None = None) -> QualityStudy:
    """A study in which every window of a method loses the same, over windows of different difficulty."""
    results = [
        QualityResult(
            variant=variant,
            method=name,
            weights="0",
            status="ok",
            window_losses=tuple(3 + i / 10 + extra + i * 1e-5 for i in range(10)),
            quantize_s=(seconds or {}).get(name),
        )
        for (variant, name), extra in losses.items()
    ]
    return QualityStudy(HEADER, results)
