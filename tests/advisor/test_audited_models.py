"""Ten models counted by hand from their config.json: parameters, weights, cache and the floor of a step.

Every figure is arithmetic on the sizes of a model and the datasheet of a GPU, apart from the tested code.
"""

from __future__ import annotations

import pytest

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.layers import total_parameters
from quantroof.advisor.memory import kv_bytes, weight_bytes
from quantroof.advisor.model_lookup import model
from quantroof.advisor.sources import machine_and_times
from quantroof.advisor.step import decode_step
from tests.advisor.machines import timer

FP16 = kv_format("fp16")
# Model, format, GPU, how many; then parameters in 10^9, GB of weights per GPU, MB of cache per GPU of 4096
# tokens, and the floor in ms of one token at that context without all-reduces.
AUDITED = (
    ("qwen2.5-32b", "bf16", "l40s", 1, 32.76, 65.527, 1073.7, 75.28),
    ("qwen2.5-32b", "int4-w4a16", "a10g", 4, 32.76, 4.802, 268.4, 7.80),
    ("llama-3.1-8b", "bf16", "rtx-4090", 1, 8.030, 16.061, 536.9, 15.42),
    ("llama-3.1-70b", "bf16", "a100-sxm4-80gb", 2, 70.55, 70.555, 671.1, 34.42),
    ("llama-3.1-70b", "fp8-w8a8", "h100-sxm5-80gb", 1, 70.55, 72.683, 1342.2, 21.47),
    ("llama-3.1-405b", "fp8-w8a8", "h100-sxm5-80gb", 8, 405.9, 51.289, 264.2, 15.23),
    ("gemma-3-27b", "bf16", "l40s", 2, 27.01, 27.009, 385.9, 31.71),
    ("mixtral-8x7b-v0.1", "bf16", "a100-sxm4-40gb", 4, 46.70, 23.353, 134.2, 4.19),
    ("qwen3-30b-a3b", "bf16", "h100-sxm5-80gb", 1, 30.53, 61.064, 402.7, 1.94),
    ("gpt-oss-120b", "mxfp4-w4a16", "h100-sxm5-80gb", 1, 116.8, 65.169, 155.7, 1.54),
    ("gpt-oss-120b", "mxfp4-w4a16", "h100-sxm5-80gb", 8, 116.8, 8.339, 19.5, None),
    ("deepseek-v3", "fp8-block-w8a8", "h200-sxm", 8, 671.0, 85.140, 287.8, 1.25),
)


@pytest.mark.parametrize(
    ("name", "stored", "board", "gpus", "parameters", "weights", "cache", "floor"), AUDITED
)
def test_a_model_is_counted_as_by_hand(
    name: str,
    stored: str,
    board: str,
    gpus: int,
    parameters: float,
    weights: float,
    cache: float,
    floor: float | None,
) -> None:
    """Within 2 %, quantized checkpoints as they are published: gpt-oss keeps its attention in 16 bit."""
    subject, scheme = model(name), choice(stored)
    step = decode_step(
        subject,
        scheme,
        FP16,
        batch=1,
        context=4096,
        ways=gpus,
        timer=timer(machine_and_times(board, None)[0]),
    )

    assert total_parameters(subject) / 1e9 == pytest.approx(parameters, rel=0.02)
    assert weight_bytes(subject, scheme, gpus) / 1e9 == pytest.approx(weights, rel=0.02)
    assert kv_bytes(subject, FP16, 4096, gpus) / 1e6 == pytest.approx(cache, rel=0.02)
    if floor is not None:
        parts = (part for part in step.parts if part.name != "all-reduce")
        assert sum(part.estimate.floor or 0.0 for part in parts) * 1e3 == pytest.approx(floor, rel=0.02)
