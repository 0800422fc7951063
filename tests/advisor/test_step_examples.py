"""Parts of a step counted by hand: timed attention, sliding layers, short kernels."""

from __future__ import annotations

import msgspec
import pytest

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.interpolation import KernelTime
from quantroof.advisor.layer_times import AttentionKey, LayerTimes
from quantroof.advisor.layers import linear_layers
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.model_lookup import model
from quantroof.advisor.step import decode_step, prefill
from quantroof.advisor.timings import TimingTable
from quantroof.kernels.attention.case import Attention
from tests.advisor.machines import AT_THE_ROOF, H100, H200, timer

KV = kv_format("fp16")


@pytest.mark.parametrize(("kv", "source"), [("fp16", "interpolated"), ("fp8", "modeled")])
def test_attention_that_the_run_timed_is_not_modeled(kv: str, source: str) -> None:
    """Llama-3.1-8B's 32 layers at 10 us as timed take 320 us; a cache that was not timed is modeled."""
    timed = {
        AttentionKey("bf16-kv", Attention(32, 8, 128, 128)): {1: [KernelTime(2048, 1e-5, 9e-6, 2e-5, "k")]}
    }
    at = Timer(H100, TimingTable(layers=LayerTimes(timed)), AT_THE_ROOF)

    step = decode_step(
        model("llama-3.1-8b"), choice("bf16"), kv_format(kv), batch=1, context=2048, ways=1, timer=at
    )

    attention = step.part("attention")
    assert attention.source == source
    assert (attention.seconds == pytest.approx(320e-6)) is (source == "interpolated")


def test_two_gpus_share_the_heads_of_a_latent_cache() -> None:
    """DeepSeek-V3 on two GPUs: 64 of 128 heads each, with a latent of 576 of which 512 are values."""
    own = Attention(64, 1, 576, 512, latent=True)
    timed = {AttentionKey("bf16-kv", own): {1: [KernelTime(2048, 1e-5, 9e-6, 2e-5, "k")]}}
    at = Timer(H200, TimingTable(layers=LayerTimes(timed)), AT_THE_ROOF)

    step = decode_step(model("deepseek-v3"), choice("bf16"), KV, batch=1, context=2048, ways=2, timer=at)

    assert step.part("attention").seconds == pytest.approx(61 * 1e-5)


def test_every_layer_has_its_own_attention_kernel() -> None:
    """Llama-3.1-8B's attention takes 32 times what one layer of it does, fixed times included."""
    whole = model("llama-3.1-8b")
    one = msgspec.structs.replace(whole, layers=1, full_layers=1)

    took, once = (
        prefill(m, choice("bf16"), KV, batch=1, context=64, ways=1, timer=timer(H100, Assumptions()))
        for m in (whole, one)
    )

    assert took.part("attention").seconds == pytest.approx(32 * once.part("attention").seconds)


def test_sliding_layers_with_equal_heads_are_counted_with_the_others() -> None:
    """gpt-oss-20b has one kind of attention layer, 24 times, though 12 of them attend to a window."""
    counts = {layer.name: layer.count for layer in linear_layers(model("gpt-oss-20b"))}

    assert counts["qkv"] == 24
    assert "local qkv" not in counts


def test_sliding_layers_attend_to_their_window() -> None:
    """gpt-oss-20b reads 1000 tokens: 12 layers attend to 1000^2 / 2 pairs each and 12 to
    1000 x 128 - 128^2 / 2, each pair at 2 (64 + 64) operations for each of 64 heads.
    """
    pairs = 12 * 500_000 + 12 * 119_808

    step = prefill(model("gpt-oss-20b"), choice("bf16"), KV, batch=1, context=1000, ways=1, timer=timer(H200))

    assert step.part("attention").seconds == pytest.approx(256 * 64 * pairs / 989.4e12)


@pytest.mark.parametrize(("ways", "elements"), [(1, 88_064), (2, 60_416)])
def test_short_kernels_move_what_their_layer_writes(ways: int, elements: int) -> None:
    """Llama-3.1-8B, one token: 8 x 4096 by the norms, 2 (32 + 2 x 8) x 128 by the rotary embedding and
    3 x 14336 by the activation, of which two GPUs share the last two. On a CPU, whose kernels have no launch.
    """
    cpu = msgspec.structs.replace(H100, is_gpu=False, capability=None)

    step = decode_step(
        model("llama-3.1-8b"), choice("bf16"), KV, batch=1, context=16, ways=ways,
        timer=timer(cpu, Assumptions()),
    )  # fmt: skip

    assert step.part("other").seconds == pytest.approx(32 * 2 * elements / 3350e9 / 0.8)
