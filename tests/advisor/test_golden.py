"""Steps counted by hand: a dense GQA model, a mixture of experts, and a latent-attention one.

Every expected figure is written out from the model's sizes, without calling the code under test.
"""

from __future__ import annotations

import pytest

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.linear_time import Assumptions
from quantroof.advisor.memory import Reserve, kv_bytes, memory_fit, weight_bytes, weight_parts
from quantroof.advisor.model_lookup import model
from quantroof.advisor.step import decode_step, prefill
from tests.advisor.machines import A100, H200, timer

BW, BF16 = 4.8e12, 989.4e12
KV16 = kv_format("fp16")


def _linear(m: int, n: int, k: int) -> float:
    """Seconds at the H200's roofs of one layer: weights + 16-bit input and output, or its products."""
    moved = 2 * n * k + 2 * m * k + 2 * m * n
    return max(moved / BW, 2 * m * n * k / BF16)


def test_dense_decode_on_one_gpu() -> None:
    """Llama-3.1-8B, bf16, batch 1, 2048 tokens on an H200: 3.18 ms (aiconfigurator's roofline: 3.185)."""
    layers = (
        _linear(1, 6144, 4096) + _linear(1, 4096, 4096) + _linear(1, 28672, 4096) + _linear(1, 4096, 14336)
    )
    head = _linear(1, 128256, 4096)
    cache = 2 * 8 * 128 * 2 * 2048 * 32 / BW

    step = decode_step(
        model("llama-3.1-8b"), choice("bf16"), KV16, batch=1, context=2048, ways=1, timer=timer(H200)
    )

    assert step.total.seconds == pytest.approx(32 * layers + head + cache, rel=1e-9)
    assert step.total.seconds * 1e3 == pytest.approx(3.185, rel=1e-3)


def test_dense_decode_in_fp8() -> None:
    """The same with fp8 weights, one fp32 scale a channel, a 16-bit head: 1.73 ms (aiconfigurator 1.730)."""
    step = decode_step(
        model("llama-3.1-8b"), choice("fp8-w8a8"), KV16, batch=1, context=2048, ways=1, timer=timer(H200)
    )

    assert step.total.seconds * 1e3 == pytest.approx(1.730, rel=1e-3)


def test_dense_decode_on_two_gpus() -> None:
    """Llama-3.1-70B, int8 weights, batch 32, 2048 tokens on 2 A100 (2 TB/s): each holds half of N or of K."""
    m, bandwidth, rate = 32, 2.0e12, 312e12

    def half(n: int, k: int, scales: int) -> float:
        return max((n * k + 4 * scales + 2 * m * (n + k)) / bandwidth, 2 * m * n * k / rate)

    layer = (
        half(5120, 8192, 5120) + half(8192, 4096, 8192) + half(28672, 8192, 28672) + half(8192, 14336, 8192)
    )
    head = max((64128 * 8192 * 2 + 2 * m * (64128 + 8192)) / bandwidth, 2 * m * 64128 * 8192 / rate)
    cache = 32 * 2 * 4 * 128 * 2 * 2048 * 80 / bandwidth
    reduces = 160 * (10e-6 + 2 * 0.5 * 32 * 8192 * 2 / 300e9)

    step = decode_step(
        model("llama-3.1-70b"), choice("int8-w8a16"), KV16, batch=32, context=2048, ways=2, timer=timer(A100)
    )

    assert step.total.seconds == pytest.approx(80 * layer + head + cache + reduces, rel=1e-9)
    wire = 160 * 2 * 0.5 * 32 * 8192 * 2 / 300e9
    assert step.total.floor == pytest.approx(80 * layer + head + cache + wire, rel=1e-9)


@pytest.mark.parametrize(("ways", "context"), [(1, 2048), (2, 2048)])
def test_dense_prefill(ways: int, context: int) -> None:
    """Llama-3.1-8B: linear layers over all tokens, causal attention 2 h S^2, the head for one token."""
    m, t = context, ways
    layers = (
        _linear(m, 6144 // t, 4096) + _linear(m, 4096, 4096 // t)
        + _linear(m, 28672 // t, 4096) + _linear(m, 4096, 14336 // t)
    )  # fmt: skip
    head = _linear(1, 128256 // t, 4096)
    attention = 2 * 4096 * context**2 * 32 / t / BF16
    reduces = 0.0 if t == 1 else 64 * (10e-6 + 2 * 0.5 * m * 4096 * 2 / 300e9)

    step = prefill(
        model("llama-3.1-8b"), choice("bf16"), KV16, batch=1, context=context, ways=ways, timer=timer(H200)
    )

    assert step.total.seconds == pytest.approx(32 * layers + head + attention + reduces, rel=1e-9)


@pytest.mark.parametrize("t", [1, 2])
def test_mixture_of_experts_decode_reads_the_experts_that_are_hit(t: int) -> None:
    """Mixtral-8x7B, bf16, batch 4: 8 (1 - (6/8)^4) = 5.47 experts are read, 2 of 8 work for a token."""
    hit = 8 * (1 - 0.75**4)
    rows = 4 * 2
    attention = _linear(4, 6144 // t, 4096) + _linear(4, 4096, 4096 // t)
    router = _linear(4, 8, 4096)
    down = (hit * 14336 / t * 4096 * 2 + 2 * rows * (14336 // t + 4096)) / BW
    gate_up = (hit * (28672 // t * 4096 * 2) + 2 * rows * (4096 + 28672 // t)) / BW
    head = _linear(4, 32000 // t, 4096)
    cache = 4 * 2 * 8 // t * 128 * 2 * 1000 * 32 / BW
    reduces = 0.0 if t == 1 else 64 * (10e-6 + 2 * 0.5 * 4 * 4096 * 2 / 300e9)

    step = decode_step(
        model("mixtral-8x7b-v0.1"), choice("bf16"), KV16, batch=4, context=1000, ways=t, timer=timer(H200)
    )

    expected = 32 * (attention + router + gate_up + down) + head + cache + reduces
    assert step.total.seconds == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("t", [1, 2])
def test_mixture_of_experts_prefill(t: int) -> None:
    """Mixtral-8x7B, 1000 tokens: all experts are hit, each GPU computes its part of every expert's width."""
    m, rows = 1000, 2000
    hit = 8 * (1 - 0.75**1000)
    attention = _linear(m, 6144 // t, 4096) + _linear(m, 4096, 4096 // t)

    def experts(n: int, k: int) -> float:
        return max((hit * n * k * 2 + 2 * rows * (n + k)) / BW, 2 * rows * n * k / BF16)

    moe = _linear(m, 8, 4096) + experts(28672 // t, 4096) + experts(4096, 14336 // t)
    scores = 2 * 4096 * m**2 * 32 / t / BF16
    cache = 2 * 8 // t * 128 * 2 * m * 32 / BW
    reduces = 0.0 if t == 1 else 64 * (10e-6 + 2 * 0.5 * m * 4096 * 2 / 300e9)

    step = prefill(
        model("mixtral-8x7b-v0.1"), choice("bf16"), KV16, batch=1, context=m, ways=t, timer=timer(H200)
    )

    expected = 32 * (attention + moe) + _linear(1, 32000 // t, 4096) + max(scores, cache) + reduces
    assert step.total.seconds == pytest.approx(expected, rel=1e-9)


def test_latent_attention_caches_576_elements_a_layer() -> None:
    """DeepSeek-V3: 512 + 64 elements x 61 layers x 2 bytes = 70,272 bytes a token, whole on every GPU."""
    found = model("deepseek-v3")

    assert kv_bytes(found, KV16, 1) == 70_272
    assert kv_bytes(found, KV16, 1, ways=8) == 70_272


def test_an_indexer_keeps_its_own_keys() -> None:
    """DeepSeek-V3.2: beside the latent 128 fp8 elements and their fp32 scale for each token of 61 layers."""
    assert kv_bytes(model("deepseek-v3.2"), KV16, 100) == 61 * 100 * (576 * 2 + 128 + 4)


def test_the_parts_of_a_model_add_up_to_its_weights() -> None:
    """On one GPU, unless more are stated."""
    found, scheme = model("llama-3.1-8b"), choice("bf16")

    assert sum(weight_parts(found, scheme).values()) == weight_bytes(found, scheme, 1)


@pytest.mark.parametrize("ways", [1, 2])
def test_latent_attention_decode(ways: int) -> None:
    """DeepSeek-V3 in bf16, batch 1, 1000 tokens: latent projections, 8 experts, one shared, 3 dense."""
    t = ways

    def one(n: int, k: int) -> float:
        return _linear(1, n, k)

    attention = (
        one(1536 + 576, 7168) + one(24576 // t, 1536)
        + one(32768 // t, 512) + one(7168, 16384 // t)
    )  # fmt: skip
    dense = one(36864 // t, 7168) + one(7168, 18432 // t)
    hit = 256 * (1 - (1 - 8 / 256))
    gate_up = (hit * 4096 // t * 7168 * 2 + 2 * 8 * (7168 + 4096 // t)) / BW
    down = (hit * 7168 * 2048 // t * 2 + 2 * 8 * (2048 // t + 7168)) / BW
    shared = one(4096 // t, 7168) + one(7168, 2048 // t)
    moved, products = 1000 * 576 * 2 * 61, 1000 * 61 * 2 * 128 * (576 + 512) / t
    cache = max(moved / BW, products / BF16)
    reduces = 0.0 if t == 1 else 122 * (10e-6 + 2 * 0.5 * 7168 * 2 / 300e9)

    step = decode_step(
        model("deepseek-v3"), choice("bf16"), KV16, batch=1, context=1000, ways=ways, timer=timer(H200)
    )

    expected = 61 * attention + 3 * dense + 58 * (one(256, 7168) + gate_up + down + shared)
    expected += one(129280 // t, 7168) + cache + reduces
    assert step.total.seconds == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("t", [1, 2])
def test_latent_attention_prefill(t: int) -> None:
    """DeepSeek-V3, bf16, 4096 tokens: all 256 experts are hit; heads are 192 wide in q and k, 128 in v."""
    m, rows = 4096, 8 * 4096
    hit = 256 * (1 - (1 - 8 / 256) ** m)

    def one(n: int, k: int) -> float:
        return _linear(m, n, k)

    def experts(n: int, k: int) -> float:
        return max((hit * n * k * 2 + 2 * rows * (n + k)) / BW, 2 * rows * n * k / BF16)

    attention = (
        one(1536 + 576, 7168) + one(24576 // t, 1536)
        + one(32768 // t, 512) + one(7168, 16384 // t)
    )  # fmt: skip
    dense = one(36864 // t, 7168) + one(7168, 18432 // t)
    shared = one(4096 // t, 7168) + one(7168, 2048 // t)
    moe = one(256, 7168) + experts(4096 // t, 7168) + experts(7168, 2048 // t) + shared
    scores = m**2 * (192 + 128) * 128 * 61 / t / BF16
    head = _linear(1, 129280 // t, 7168)
    reduces = 0.0 if t == 1 else 122 * (10e-6 + 2 * 0.5 * m * 7168 * 2 / 300e9)

    step = prefill(model("deepseek-v3"), choice("bf16"), KV16, batch=1, context=m, ways=t, timer=timer(H200))

    expected = 61 * attention + 3 * dense + 58 * moe + scores + head + reduces
    assert step.total.seconds == pytest.approx(expected, rel=1e-9)


def test_sliding_layers_keep_their_window() -> None:
    """gpt-oss-20b at 10,000 tokens: 12 layers cache all, 12 the last 128; 2 x 8 x 64 elements."""
    assert kv_bytes(model("gpt-oss-20b"), KV16, 10_000) == 2 * 8 * 64 * 2 * (12 * 10_000 + 12 * 128)


def test_weight_bytes_of_a_tied_model() -> None:
    """Llama-3.2-1B, int4 in groups of 128: 4.125 bits in the layers, one 16-bit embedding and head."""
    per_layer = (3072 + 2048 + 16384) * 2048 + 2048 * 8192
    expected = 16 * per_layer * 4.125 / 8 + 128256 * 2048 * 2 + 33 * 2048 * 2

    assert weight_bytes(model("llama-3.2-1b"), choice("int4-w4a16")) == expected


def test_stated_efficiency_divides_each_roof() -> None:
    """At 80 % of the bandwidth a memory-bound step takes 1 / 0.8 of its roof; the floor stays the roof."""
    at = timer(H200, Assumptions(memory_efficiency=0.8, compute_efficiency=0.7))

    step = decode_step(model("llama-3.1-8b"), choice("bf16"), KV16, batch=1, context=2048, ways=1, timer=at)

    assert step.total.floor is not None
    assert step.total.seconds == pytest.approx(step.total.floor / 0.8)


def test_more_gpus_than_heads_replicate_the_cache() -> None:
    """Qwen3-30B-A3B has 4 KV heads: 8 GPUs hold one whole head each, no half ones."""
    found = model("qwen3-30b-a3b")

    assert kv_bytes(found, KV16, 100, ways=4) == 2 * 128 * 2 * 100 * 48
    assert kv_bytes(found, KV16, 100, ways=8) == kv_bytes(found, KV16, 100, ways=4)


def test_cache_is_counted_in_whole_pages() -> None:
    """A sequence of 17 tokens takes two pages of 16."""
    found, scheme = model("llama-3.1-8b"), choice("bf16")

    one, two = (memory_fit(found, scheme, KV16, tokens, 80e9, 1, Reserve()) for tokens in (16, 17))

    assert two.kv_per_sequence == 2 * one.kv_per_sequence == 32 * 131_072


@pytest.mark.parametrize(
    ("context", "sequences"),
    [
        # 72 - 16.06 - 1.5 = 54.44 GB. Less 0.134 of activations 404 caches of 0.1342 fit, but their logits
        # take 0.311: 54.44 / (0.1342 + 0.00077) = 403.
        (1024, 403),
        # 54.305 / 0.2684 = 202, whose logits take 0.155. At 4096 tokens 101 fit and theirs take 0.078.
        (4096, 101),
    ],
)
def test_a_row_of_logits_per_sequence_counts_where_it_outweighs_the_activations(
    context: int, sequences: int
) -> None:
    """Llama-3.1-8B in bf16 on 80 GB: a row of 128,256 logits takes 6 bytes per token of the vocabulary."""
    found = memory_fit(model("llama-3.1-8b"), choice("bf16"), KV16, context, 80e9, 1, Reserve())

    assert found.logits_per_sequence == 128256 * 6
    assert found.sequences == sequences
    assert found.logits_bind == (context == 1024)
