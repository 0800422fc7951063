"""The advisor against reality: a small Llama's decode predicted from a run, then its layers run in a row."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.layers import linear_layers
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.machine import from_run
from quantroof.advisor.model_lookup import model
from quantroof.advisor.step import Step, decode_step
from quantroof.advisor.timings import table_of
from quantroof.records.directory import read_run

ROOT = Path(__file__).parents[2]
MODEL = model("llama-3.2-1b")
REPEATS = 5


def _predicted(folder: Path) -> Step:
    """One decoded token by the default suite, as `./run_all.sh` runs it, of which only bf16 is measured."""
    options = ["--suite", "default", "--device", "cpu", "--format", "bf16", "--out", str(folder), "--quiet"]
    subprocess.run([sys.executable, "-m", "quantroof", "run", *options], cwd=ROOT, check=True)
    run = read_run(folder)
    device = run.info.devices[0]
    timer = Timer(from_run(run, device), table_of(run.measurements, device.id), Assumptions())
    return decode_step(MODEL, choice("bf16"), kv_format("fp16"), batch=1, context=1, ways=1, timer=timer)


def _in_a_row(weights: list[Any], inputs: dict[int, Any]) -> float:
    """Seconds of one pass through every linear layer in turn, median of a few passes."""
    import torch

    passes = []
    with torch.inference_mode():
        for _ in range(7):
            started = time.perf_counter()
            for weight in weights:
                torch.nn.functional.linear(inputs[weight.shape[1]], weight)
            passes.append(time.perf_counter() - started)
    return median(passes[2:])


@pytest.mark.slow
def test_predicted_decode_time_of_the_linear_layers_is_what_they_take(
    tmp_path: Path, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within 25 % as the median of five default runs, each followed at once by all layers and the head."""
    import torch

    layers = linear_layers(MODEL)
    depth = MODEL.layers
    inside = [layer for layer in layers if layer.part != "head"]
    order = [*(inside * depth), *(layer for layer in layers if layer.part == "head")]
    weights = [torch.randn(layer.n, layer.k).bfloat16() for layer in order]
    inputs = {layer.k: torch.randn(1, layer.k).bfloat16() for layer in layers}

    ratios = []
    for repeat in range(REPEATS):
        step = _predicted(tmp_path / f"run-{repeat}")
        ratios.append(step.part("linear").seconds / _in_a_row(weights, inputs))
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}, median {median(ratios):.3f} ({step.linear_words})"
    record_property("predicted / taken", spread)
    with capsys.disabled():
        print(f"\npredicted / taken over {REPEATS} repeats: {spread}")

    assert step.linear_shares["measured"] > 0.7, "only the head is not measured by the default suite"
    assert abs(median(ratios) - 1) < 0.25
