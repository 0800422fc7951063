"""The advisor against reality: a small Llama's layers predicted from a run, then really run in a row."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from quantroof.advisor.layers import linear_layers
from quantroof.advisor.models import model
from quantroof.advisor.timings import TimingTable, table_of
from quantroof.records.directory import read_run

ROOT = Path(__file__).parents[2]
MODEL = model("llama-3.2-1b")
LAYERS = [layer for layer in linear_layers(MODEL) if layer.part in ("attention", "mlp")]
# Four transformer layers are 486 MB of bf16 weights, past any last-level cache.
DEPTH = 4
REPEATS = 5
SUITE = """
schema = "quantroof-suite/1"
name = "one-llama"
[[sweep]]
layers = ["llama-3.2-1b/qkv", "llama-3.2-1b/o", "llama-3.2-1b/gate_up", "llama-3.2-1b/down"]
m = [1]
formats = ["bf16"]
[limits]
precision = 0.02
seconds_per_case = 0.5
"""


def _measured(folder: Path, suite: Path) -> TimingTable:
    """The node's own times of the four layers, by the command that users run."""
    command = [sys.executable, "-m", "quantroof", "run", "--suite", str(suite), "--out", str(folder)]
    subprocess.run([*command, "--device", "cpu", "--no-ceilings", "--quiet"], cwd=ROOT, check=True)
    return table_of(read_run(folder).measurements, "cpu:0")


def _predicted(table: TimingTable) -> float:
    """Seconds of one pass through the layers of the model."""
    found = [(layer, table.predict("bf16", (layer.n, layer.k), 1)) for layer in LAYERS]
    return sum(p.seconds for _, p in found if p is not None and p.exact) * DEPTH


def _in_a_row(weights: list[Any], inputs: list[Any]) -> float:
    """Seconds of one pass, each layer after the other, median of a few passes."""
    import torch

    passes = []
    with torch.inference_mode():
        for _ in range(12):
            started = time.perf_counter()
            for weight, x in zip(weights, inputs, strict=True):
                torch.nn.functional.linear(x, weight)
            passes.append(time.perf_counter() - started)
    return median(passes[2:])


@pytest.mark.slow
def test_predicted_decode_time_of_the_linear_layers_is_what_they_take(
    tmp_path: Path, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Within 25 % as the median of five benchmarks, each followed at once by the layers run in a row."""
    import torch

    suite = tmp_path / "suite.toml"
    suite.write_text(SUITE)
    weights = [torch.randn(layer.n, layer.k).bfloat16() for _ in range(DEPTH) for layer in LAYERS]
    inputs = [torch.randn(1, layer.k).bfloat16() for _ in range(DEPTH) for layer in LAYERS]

    ratios = []
    for repeat in range(REPEATS):
        predicted = _predicted(_measured(tmp_path / f"run-{repeat}", suite))
        taken = _in_a_row(weights, inputs)
        ratios.append(predicted / taken)
    spread = f"{min(ratios):.3f} to {max(ratios):.3f}, median {median(ratios):.3f}"
    record_property("predicted / taken", spread)
    with capsys.disabled():
        print(f"\npredicted / taken over {REPEATS} repeats: {spread}")

    assert abs(median(ratios) - 1) < 0.25
