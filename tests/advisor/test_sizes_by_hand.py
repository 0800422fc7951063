"""Layers, parameters and bytes of small made-up models, each size counted by hand."""

from __future__ import annotations

import math

import pytest
from msgspec.structs import replace

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.layers import linear_layers, linear_parameters, total_parameters
from quantroof.advisor.memory import (
    MemoryFit,
    Reserve,
    activation_bytes,
    kv_bytes,
    kv_elements,
    kv_read_bytes,
    logit_bytes,
    memory_fit,
    state_bytes,
    weight_bytes,
)
from quantroof.advisor.models import Heads, Mla, Model, Moe, Recurrent, SparseIndex

BF16, FP8 = choice("bf16"), choice("fp8-w8a8")
KV16 = kv_format("fp16")
TINY = Model(
    id="tiny", hidden=64, layers=6, heads=8, kv_heads=4, head_dim=16, intermediate=96, vocab=160,
    full_layers=6, source="made up",
)  # fmt: skip
MAMBA = replace(TINY, full_layers=2, recurrent=Recurrent(layers=4, inputs=112, inner=48, state=1000))
INDEXED = replace(TINY, index=SparseIndex(heads=3, head_dim=32, top_k=50, layers=4))
LATENT = Mla(kv_rank=24, q_rank=40, rope_dim=8, nope_dim=10, v_dim=12)
EXPERTS = Moe(experts=5, per_token=2, intermediate=100)
CACHE = 2 * 4 * 16 * 2
"""Bytes of keys and values per token and layer in 16 bit."""


def _shapes(model: Model) -> dict[str, tuple[int, int, int]]:
    """N, K and count of every layer by its name."""
    return {layer.name: (layer.n, layer.k, layer.count) for layer in linear_layers(model)}


def test_a_dense_model_has_five_kinds_of_layers() -> None:
    """q with k and v, o, gate with up, down, and the head; without a gate the up projection alone."""
    assert _shapes(TINY) == {
        "qkv": (8 * 16 + 2 * 4 * 16, 64, 6), "o": (64, 128, 6), "gate_up": (192, 64, 6), "down": (64, 96, 6),
        "lm_head": (160, 64, 1),
    }  # fmt: skip
    assert _shapes(replace(TINY, gated=False))["up"] == (96, 64, 6)


def test_a_gate_on_attention_is_as_wide_as_the_queries() -> None:
    """Twice the queries, once keys and values."""
    assert _shapes(replace(TINY, query_gate=True))["qkv"] == (2 * 128 + 128, 64, 6)


def test_windowed_layers_may_have_heads_of_their_own() -> None:
    """Two full layers, four with two heads of 32 that share one key."""
    local = Heads(heads=2, kv_heads=1, head_dim=32)
    shapes = _shapes(replace(TINY, full_layers=2, window=10, local=local))

    assert shapes["qkv"] == (256, 64, 2)
    assert shapes["local qkv"] == (2 * 32 + 2 * 32, 64, 4)
    assert shapes["local o"] == (64, 64, 4)


def test_keys_that_are_values_are_projected_once() -> None:
    """In full layers alone: windowed ones have values of their own, with the same heads."""
    shapes = _shapes(replace(TINY, full_layers=2, window=10, keys_are_values=True))

    assert shapes["qkv"] == (128 + 64, 64, 2)
    assert shapes["local qkv"] == (128 + 128, 64, 4)


@pytest.mark.parametrize(
    ("mla", "rank"),
    [(None, 64), (LATENT, 40), (replace(LATENT, q_rank=None), 64)],
    ids=["none", "rank", "no rank"],
)
def test_an_indexer_reads_the_queries_latent_where_there_is_one(mla: Mla | None, rank: int) -> None:
    """Three heads of 32 and their weights, in four of six layers."""
    shapes = _shapes(replace(INDEXED, mla=mla))

    assert shapes["index q"] == (96, rank, 4)
    assert shapes["index k"] == (32 + 3, 64, 4)


def test_recurrent_layers_have_projections_and_no_cache() -> None:
    """Four of six layers: inputs, outputs, and a state of 1000 numbers of fp32 that two GPUs share."""
    assert _shapes(MAMBA)["recurrent in"] == (112, 64, 4)
    assert _shapes(MAMBA)["recurrent out"] == (64, 48, 4)
    assert state_bytes(MAMBA) == 16_000
    assert state_bytes(MAMBA, 2) == 8_000
    assert state_bytes(TINY) == 0


def test_a_step_reads_and_writes_a_state_that_is_kept_once() -> None:
    """Two full layers cache 100 tokens beside it."""
    cache = 2 * 100 * CACHE

    assert kv_bytes(MAMBA, KV16, 100) == cache + 16_000
    assert kv_read_bytes(MAMBA, KV16, 100) == cache + 2 * 16_000
    assert kv_read_bytes(MAMBA, KV16, 100, 2) == cache / 2 + 2 * 8_000


@pytest.mark.parametrize(("context", "picked"), [(40, 40), (200, 50)])
def test_indexed_layers_read_what_was_picked_and_all_of_the_keys(context: int, picked: int) -> None:
    """Four layers read 50 tokens at most and an fp8 key of 32 with its scale for each; two read them all."""
    keys = 4 * context * (32 + 4)

    assert kv_read_bytes(INDEXED, KV16, context) == (4 * picked + 2 * context) * CACHE + keys
    assert kv_bytes(INDEXED, KV16, context) == 6 * context * CACHE + keys


def test_windowed_layers_keep_their_window() -> None:
    """Four of six layers keep 10 tokens, or all where there are fewer; without a window all of them."""
    windowed = replace(TINY, full_layers=2, window=10)

    assert kv_bytes(windowed, KV16, 100) == (2 * 100 + 4 * 10) * CACHE
    assert kv_bytes(windowed, KV16, 7) == 6 * 7 * CACHE
    assert kv_bytes(replace(windowed, window=None), KV16, 100) == 6 * 100 * CACHE


def test_scales_of_an_int8_cache_are_counted() -> None:
    """Each group of 64 numbers has one more."""
    scales = kv_format("int8").bits_per_element(1, 64) - 8

    assert scales > 0
    assert kv_bytes(TINY, kv_format("int8"), 100) == 6 * 100 * (CACHE / 2) * (8 + scales) / 8


def test_the_heads_of_a_cache_are_shared_down_to_one() -> None:
    """On one GPU unless said otherwise; eight GPUs hold one of four heads each; a latent is whole."""
    assert kv_elements(TINY) == 128
    assert kv_elements(TINY, 2) == 64
    assert kv_elements(TINY, 8) == 32
    assert kv_elements(replace(TINY, mla=LATENT), 8) == 32


@pytest.mark.parametrize(("ways", "widest"), [(1, 256), (2, 128)])
def test_activations_are_the_hidden_state_and_the_widest_output(ways: int, widest: int) -> None:
    """256 of queries, keys and values are more than 192 of gate and up."""
    assert activation_bytes(TINY, BF16, 10, ways) == 10 * (64 + widest) * 2
    assert activation_bytes(TINY, BF16, 10) == 10 * (64 + 256) * 2


@pytest.mark.parametrize(("ways", "widest"), [(1, 400), (3, 133)])
def test_the_experts_of_a_token_may_be_the_widest(ways: int, widest: int) -> None:
    """Two experts of a token with gate and up of 100 each."""
    assert activation_bytes(replace(TINY, moe=EXPERTS), BF16, 10, ways) == 10 * (64 + widest) * 2


def test_parameters_are_those_of_layers_embedding_and_norms() -> None:
    """Every layer in every copy, every expert; a tied head is counted once."""
    layers = 6 * (256 * 64 + 64 * 128 + 192 * 64 + 64 * 96) + 160 * 64
    norms = 64 * (2 * 6 + 1)

    assert linear_parameters(TINY) == layers
    assert total_parameters(TINY) == layers + 160 * 64 + norms
    assert total_parameters(replace(TINY, tied_embeddings=True)) == layers + norms
    experts = 6 * (5 * (200 * 64 + 64 * 100) + 5 * 64) + 6 * (256 * 64 + 64 * 128) + 160 * 64
    assert linear_parameters(replace(TINY, moe=EXPERTS)) == experts


def test_a_published_checkpoint_may_leave_parts_wide() -> None:
    """Attention stays in 16 bit in fp8 alone; the MLP does not, and in int8 neither does."""
    partly = replace(TINY, wide=(("fp8-w8a8", ("attention",)),))
    kept = {layer.name: layer.kept(FP8).weight.element.bits for layer in linear_layers(partly)}

    assert kept == {"qkv": 16, "o": 16, "gate_up": 8, "down": 8, "lm_head": 16}
    assert {layer.kept(choice("int8-w8a8")).weight.element.bits for layer in linear_layers(partly)} == {8, 16}
    assert weight_bytes(partly, FP8) > weight_bytes(TINY, FP8)


@pytest.mark.parametrize(
    ("name", "group", "ways", "shape"),
    [
        ("o", None, 3, (64, 48)),
        ("o", 16, 3, (64, 48)),
        ("o", 64, 3, (64, 64)),
        ("qkv", 64, 3, (96, 64)),
        ("o", 64, 1, (64, 128)),
    ],
)
def test_a_cut_layer_is_padded_to_whole_blocks_and_groups(
    name: str, group: int | None, ways: int, shape: tuple[int, int]
) -> None:
    """A third of 128 inputs is padded to 48, or to a group of 64; a third of 256 outputs to 96."""
    layer = next(layer for layer in linear_layers(TINY) if layer.name == name)

    assert layer.shard(ways, group) == shape


@pytest.mark.parametrize(("sequences", "bind"), [(10, False), (9, True)])
def test_logits_bind_where_fewer_sequences_fit_than_the_cache_alone_would(
    sequences: int, *, bind: bool
) -> None:
    """Of 100 bytes 42 are left for the cache, which has room for ten sequences of four."""
    fit = MemoryFit(
        usable=100, weights=10, runtime=18.0, activations=30, kv_per_sequence=4.0, logits_per_sequence=1,
        sequences=sequences,
    )  # fmt: skip

    assert fit.left_for_kv == 42
    assert fit.logits_bind is bind


def test_what_does_not_fit_has_no_sequences() -> None:
    """Not one where the weights alone are too large, and none less than none."""
    assert memory_fit(TINY, BF16, KV16, 100, 1e6, 1, Reserve()).sequences == 0
    assert memory_fit(TINY, BF16, KV16, 100, 1e12, 1, Reserve()).sequences > 0


def test_an_engine_gives_nine_tenths_and_reads_prompts_in_chunks_of_2048() -> None:
    """And keeps 1.5 GB for itself: the reserve of a question that names none."""
    fit = memory_fit(TINY, BF16, KV16, 100, 10e9, 1, Reserve())

    assert (fit.usable, fit.runtime) == (9e9, 1.5e9)
    assert fit.activations == 2048 * (64 + 256) * 2
    assert fit.kv_per_sequence == 6 * 112 * CACHE  # whole pages of 16 tokens
    assert fit.logits_per_sequence == logit_bytes(TINY, BF16) == 160 * (2 + 4)
    left = 9e9 - weight_bytes(TINY, BF16) - 1.5e9
    assert fit.sequences == math.floor(
        min((left - fit.activations) / fit.kv_per_sequence, left / (fit.kv_per_sequence + 960))
    )
