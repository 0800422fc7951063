"""Bytes a served model needs on each GPU: weights, KV cache, activations; and how many sequences then fit."""

from __future__ import annotations

import math
from functools import lru_cache

import msgspec

from quantroof.advisor.choices import wide_scheme
from quantroof.advisor.layers import embedding_parameters, linear_layers, norm_parameters
from quantroof.advisor.models import Heads, Model
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import Scheme

# vLLM's page size; a sequence wastes the end of its last page (the fragmentation of a paged cache).
KV_BLOCK_TOKENS = 16
_INDEX_SCALE_BYTES = 4  # one fp32 scale per token beside an indexer's fp8 keys (DeepSeek-V3.2)
_SAMPLED_BYTES = 4  # samplers copy the logits to float32


class Reserve(msgspec.Struct, frozen=True, kw_only=True):
    """What a serving engine does not give to weights and cache: assumptions that options override.

    `utilization` is the share of the memory an engine may take (vLLM's default was 0.9 for long, now 0.92);
    `runtime_bytes` per GPU covers context, library workspaces and graphs; `prefill_tokens` is the chunk whose
    activations exist at once.
    """

    utilization: float = 0.9
    runtime_bytes: float = 1.5e9
    prefill_tokens: int = 2048


class MemoryFit(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU's memory, in bytes. `sequences` of the asked context fit beside the weights."""

    usable: float
    weights: int
    runtime: float
    activations: float
    kv_per_sequence: float
    logits_per_sequence: float
    sequences: int

    @property
    def logits_bind(self) -> bool:
        """Whether the logits of so many sequences take more than the activations of a prefill chunk."""
        return self.sequences < self.left_for_kv // self.kv_per_sequence

    @property
    def left_for_kv(self) -> float:
        """Bytes that remain for the cache; negative where even the weights do not fit."""
        return self.usable - self.weights - self.runtime - self.activations


def wide_bytes(scheme: Scheme) -> int:
    """Bytes per element of what stays unquantized, 4 for fp32."""
    return wide_scheme(scheme).weight.element.bits // 8


def weight_bytes(model: Model, scheme: Scheme, ways: int = 1) -> int:
    """Bytes of all weights on one of `ways` GPUs, with scales; embedding, head, norms and router stay wide.

    The embedding and the head are cut by vocabulary; norms, router and latent projections are on every GPU.
    """
    return sum(size for _, size in _weight_parts(model, scheme, ways))


def weight_parts(model: Model, scheme: Scheme, ways: int = 1) -> dict[str, int]:
    """The same by part of the model."""
    return dict(_weight_parts(model, scheme, ways))


@lru_cache(maxsize=1 << 12)
def _weight_parts(model: Model, scheme: Scheme, ways: int) -> tuple[tuple[str, int], ...]:
    parts: dict[str, int] = {}
    for layer in linear_layers(model):
        weight = layer.kept(scheme).weight
        n, k = layer.shard(ways, weight.group)
        copies = layer.count * (layer.moe.experts if layer.moe else 1)
        parts[layer.part] = parts.get(layer.part, 0) + copies * weight.storage_bytes(n, k)
    if not model.tied_embeddings:
        parts["embedding"] = math.ceil(embedding_parameters(model) / ways) * wide_bytes(scheme)
    parts["norms"] = norm_parameters(model) * wide_bytes(scheme)
    return tuple(parts.items())


def kv_elements(model: Model, ways: int = 1) -> float:
    """Cached elements per token and layer on one GPU. Beyond kv_heads heads replicate; a latent is whole."""
    if model.mla is not None:
        return model.mla.latent
    return _heads_elements(model.global_heads, ways)


def _heads_elements(own: Heads, ways: int) -> float:
    return (own.head_dim + own.value_dim) * max(own.kv_heads / ways, 1)


def kv_bytes(model: Model, kv: Format, context: int, ways: int = 1) -> float:
    """Bytes that one sequence keeps at a context length on one GPU. Sliding layers keep their window only."""
    return _kept_bytes(model, kv, context, context, ways) + state_bytes(model, ways)


def kv_read_bytes(model: Model, kv: Format, context: int, ways: int = 1) -> float:
    """Bytes that a step moves of what one sequence keeps; a recurrent state is read and written."""
    picked = min(context, model.index.top_k) if model.index else context
    return _kept_bytes(model, kv, context, picked, ways) + 2 * state_bytes(model, ways)


@lru_cache(maxsize=1 << 12)
def _kept_bytes(model: Model, kv: Format, context: int, picked: int, ways: int) -> float:
    """The cache of all layers, of `picked` tokens in full layers, and the keys of an indexer."""
    width = kv.bits_per_element(1, 64) / 8
    full = (model.indexed * picked + (model.full_layers - model.indexed) * context) * kv_elements(model, ways)
    local = kv_elements(model, ways) if model.mla else _heads_elements(model.local_heads, ways)
    sliding = model.windowed * min(context, model.window or context) * local
    keys = model.indexed * context * (model.index.head_dim + _INDEX_SCALE_BYTES) if model.index else 0
    return width * (full + sliding) + keys


def state_bytes(model: Model, ways: int = 1) -> float:
    """The fp32 states of one sequence in recurrent layers on one GPU."""
    own = model.recurrent
    return 0.0 if own is None else own.layers * own.state * 4 / ways


def activation_bytes(model: Model, scheme: Scheme, tokens: int, ways: int = 1) -> float:
    """Peak activations of a prefill chunk: its hidden states and the widest output of a layer."""
    return tokens * (model.hidden + _widest(model, ways)) * wide_bytes(scheme)


@lru_cache(maxsize=1 << 10)
def _widest(model: Model, ways: int) -> int:
    """The widest output of a layer, in elements per token."""
    widths = [layer.shard(ways)[0] for layer in linear_layers(model) if layer.part in ("attention", "mlp")]
    moe = model.moe
    if moe is not None:
        widths.append(moe.per_token * 2 * moe.intermediate // ways)
    return max(widths)


def logit_bytes(model: Model, scheme: Scheme) -> float:
    """One sequence's row of logits, whole on every GPU, and the float32 copy that is sampled from.

    vLLM reserves one for each of `--max-num-seqs` (`_dummy_sampler_run` of its memory profile).
    """
    return model.vocab * (wide_bytes(scheme) + _SAMPLED_BYTES)


def memory_fit(
    model: Model, scheme: Scheme, kv: Format, context: int, memory_bytes: float, ways: int, reserve: Reserve
) -> MemoryFit:
    """How many sequences B of `context` tokens fit: u M - W - R - max(A, B L) >= B KV(S).

    The activations A of a prefill chunk are freed before the logits L are computed, so the larger one counts.
    """
    sizes = _sizes(model, scheme, kv, context, ways, reserve.prefill_tokens)
    weights, activations, cache, logits = sizes
    usable = reserve.utilization * memory_bytes
    beside_logits = usable - weights - reserve.runtime_bytes
    sequences = min((beside_logits - activations) // cache, beside_logits // (cache + logits))
    return MemoryFit(
        usable=usable,
        weights=weights,
        runtime=reserve.runtime_bytes,
        activations=activations,
        kv_per_sequence=cache,
        logits_per_sequence=logits,
        sequences=max(0, int(sequences)),
    )


@lru_cache(maxsize=1 << 12)
def _sizes(
    model: Model, scheme: Scheme, kv: Format, context: int, ways: int, chunk: int
) -> tuple[int, float, float, float]:
    """What no GPU changes: weights, activations of a chunk, the cache and the logits of a sequence."""
    pages = math.ceil(context / KV_BLOCK_TOKENS) * KV_BLOCK_TOKENS
    return (
        weight_bytes(model, scheme, ways),
        activation_bytes(model, scheme, chunk, ways),
        kv_bytes(model, kv, pages, ways),
        logit_bytes(model, scheme),
    )
