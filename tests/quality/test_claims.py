"""Claims about accuracy, judged from the formats, the lab and a study's file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from quantroof.records.quality import QualityHeader, QualityResult, TextUsed, append, start_file

Run = Callable[..., tuple[int, str, str]]
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


def _study(file: Path, losses: dict[str, float]) -> Path:
    """A study in which every window of a method has the same loss over windows of different difficulty."""
    start_file(file, HEADER)
    for name, extra in losses.items():
        windows = tuple(3 + i / 10 + extra for i in range(10))
        append(
            file,
            QualityResult(variant="outliers", method=name, weights="0", status="ok", window_losses=windows),
        )
    return file


def _outcomes(text: str) -> dict[str, str]:
    return {j["claim"]["id"]: j["outcome"] for j in json.loads(text)["judgements"]}


def test_bits_and_errors_are_judged_without_a_study(run_command: Run) -> None:
    """NF4 takes 4.5 bits and does not minimise the error; what needs a model is left open."""
    code, text, _ = run_command("claims", "--json")

    found = _outcomes(text)
    assert code == 1
    assert found["nf4-half-a-byte"] == found["nf4-optimal"] == found["fp8-below-int8"] == "wrong"
    assert found["group-overhead-small"] == "holds"
    assert found["threshold-direction"] == "cannot tell here"


def test_losses_are_judged_from_a_study(tmp_path: Path, run_command: Run) -> None:
    """A higher threshold that loses more makes the claim wrong; equal losses decide nothing."""
    losses = {"llm-int8-6": 0.0, "llm-int8-60": 0.1, "fp8": 0.05, "w8a8-token": 0.05}

    _, text, _ = run_command("claims", "--study", _study(tmp_path / "s.jsonl", losses), "--json")

    found = _outcomes(text)
    assert found["threshold-direction"] == "wrong"
    assert found["fp8-below-int8-outliers"] == "cannot tell here"
    assert found["smoothquant-works"] == "cannot tell here"


def test_a_file_that_is_no_study_is_refused(tmp_path: Path, run_command: Run) -> None:
    """One line with the path, exit code 2."""
    (tmp_path / "run.jsonl").write_text('{"kind": "run"}\n')

    code, _, error = run_command("claims", "--study", tmp_path / "run.jsonl")

    assert code == 2
    assert "run.jsonl" in error
