"""What an inference engineer would take, case by case, is what comes first or stands in the set that pays."""

from __future__ import annotations

import pytest

from quantroof.advisor.advice import AdviceOptions
from quantroof.advisor.decision import advise
from quantroof.advisor.model_lookup import model
from quantroof.advisor.sources import machine_and_times


@pytest.mark.parametrize(
    ("name", "board", "targets", "format_name", "gpus"),
    [
        ("Qwen/Qwen2.5-32B-Instruct", "l40s", {}, "fp8-w8a8", {1, 2}),
        ("llama-3.1-8b", "l4", {}, "fp8-w8a8", {1}),
        ("llama-3.1-8b", "rtx-4090", {}, "fp8-w8a8", {1}),
        ("qwen3-30b-a3b", "h100-sxm5-80gb", {}, "fp8-w8a8", {1}),
        ("llama-3.1-405b", "h100-sxm5-80gb", {}, "fp8-w8a8", {8}),
        ("deepseek-v3", "h200-sxm", {}, "fp8-block-w8a8", {8}),
        ("gpt-oss-120b", "h100-sxm5-80gb", {}, "mxfp4-w4a16", {1, 2, 4, 8}),
        ("llama-3.1-70b", "a100-sxm4-80gb", {"latency_s": 0.05, "tokens_per_day": 10e6}, "int4-w4a16", {1}),
        ("llama-3.1-70b", "a100-sxm4-80gb", {"latency_s": 0.05, "tokens_per_day": 2e9}, "int8-w8a8", {4}),
        ("llama-3.1-8b", "a10g", {"latency_s": 0.012}, "int4-w4a16", {2}),
        ("llama-3.1-70b", "h100-sxm5-80gb", {"latency_s": 0.04}, "fp8-w8a8", {2}),
        # What the matrix units take as it is stored, where bands overlap: not int8-w8a16, fp8-w8a16, int4.
        ("llama-3.1-70b", "b200", {"latency_s": 0.012}, "nvfp4-w4a4", {2}),
        ("llama-3.1-8b", "a100-sxm4-80gb", {"latency_s": 0.025}, "int8-w8a8", {1}),
        ("qwen2.5-32b", "rtx-pro-6000-server", {"latency_s": 0.05}, "nvfp4-w4a4", {1}),
    ],
)
def test_the_engineers_choice(
    name: str, board: str, targets: dict[str, float], format_name: str, gpus: set[int]
) -> None:
    """Checkpoints as published, fp8 where it runs, four bits where memory or a small batch asks for them."""
    machine, table = machine_and_times(board, None)
    asked = AdviceOptions(context=4096, kv_choices=("fp16", "fp8"), **targets)  # type: ignore[arg-type]
    advice = advise(model(name), machine, table, asked, None)
    answer = [advice.choice] if advice.choice else [advice.options[i] for i in advice.frontier]

    assert gpus == {option.gpus for option in answer if option.format == format_name}
