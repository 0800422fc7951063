"""The linear layers of a model: shapes, how tensor parallelism cuts them, and parameter counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from quantroof.advisor.choices import choice, fitted, wide_scheme
from quantroof.advisor.models import Heads, Mla, Model, Moe, SparseIndex
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import Scheme

Part = Literal["attention", "mlp", "experts", "router", "head"]
Cut = Literal["n", "k", "none"]
_BLOCK = 16  # the smallest group of a quantized weight, and the K of a 16-bit matrix instruction
# What quantized checkpoints leave in 16 bit, as llm-compressor, GPTQ and bitsandbytes do by default.
KEPT_WIDE: tuple[Part, ...] = ("router", "head")


@dataclass(frozen=True, slots=True)
class Linear:
    """One kind of linear layer [N, K], `count` of them in the model.

    For routed experts the shape is one expert's, and `moe` counts them per layer. `cut` is the dimension
    that tensor parallelism divides: outputs of qkv and gate_up, inputs of o and down, so that one all-reduce
    per pair is enough (Megatron-LM, arXiv 1909.08053).
    """

    name: str
    part: Part
    n: int
    k: int
    count: int
    cut: Cut
    moe: Moe | None = None
    wide_in: tuple[Format, ...] = ()
    """Formats of weights in which the published checkpoint leaves this layer in 16 bit."""

    def __hash__(self) -> int:
        """By what differs between the layers of models: layers are keys of caches."""
        return hash((self.name, self.n, self.k, self.count))

    @property
    def parameters(self) -> int:
        """Weights of all such layers of the model, every expert included."""
        return self.n * self.k * self.count * (self.moe.experts if self.moe else 1)

    @property
    def quantized(self) -> bool:
        """Whether a quantized checkpoint stores this layer in its format."""
        return self.part not in KEPT_WIDE

    def shard(self, ways: int, group: int | None = None) -> tuple[int, int]:
        """(N, K) that one of `ways` GPUs holds; what is cut is padded to whole blocks of 16, as engines do.

        A K whose weights share scales in groups is padded to whole groups: gpt-oss' 2880 columns of an
        expert, cut in 8, are 360 each, padded to 384 for groups of 64.
        """
        return (
            _padded(self.n, ways, _BLOCK) if self.cut == "n" else self.n,
            _padded(self.k, ways, max(group or _BLOCK, _BLOCK)) if self.cut == "k" else self.k,
        )

    def kept(self, scheme: Scheme) -> Scheme:
        """The scheme of this layer in a checkpoint: its group divides the whole K, or 16 bit is kept."""
        stored = self.quantized and scheme.weight not in self.wide_in
        return fitted(scheme if stored else wide_scheme(scheme), self.k)


def _padded(size: int, ways: int, block: int) -> int:
    return size if ways == 1 else -(-size // (ways * block)) * block


@lru_cache(maxsize=256)
def linear_layers(model: Model) -> tuple[Linear, ...]:
    """Every linear layer of a model; q, k and v are one product, and so are gate and up."""
    layers = (*_attention(model), *_mlp(model), *_experts(model), _head(model))
    return tuple(replace(layer, wide_in=_wide_in(model, layer.part)) for layer in layers)


def _wide_in(model: Model, part: Part) -> tuple[Format, ...]:
    return tuple(choice(name).weight for name, parts in model.wide if part in parts)


def _attention(model: Model) -> Iterator[Linear]:
    if model.recurrent is not None:
        own = model.recurrent
        yield Linear("recurrent in", "attention", own.inputs, model.hidden, own.layers, "n")
        yield Linear("recurrent out", "attention", model.hidden, own.inner, own.layers, "k")
    if model.mla is not None:
        yield from _latent_attention(model, model.mla)
    else:
        alike = model.local is None and not model.keys_are_values
        full = model.full_layers + (model.windowed if alike else 0)
        yield from _head_layers(model, model.global_heads, full, "", shared=model.keys_are_values)
        if not alike:
            yield from _head_layers(model, model.local_heads, model.windowed, "local ", shared=False)
    if model.index is not None:
        yield from _indexer(model, model.index)


def _head_layers(model: Model, own: Heads, count: int, kind: str, *, shared: bool) -> Iterator[Linear]:
    """The projections of `count` layers with heads; `shared` ones have no values of their own."""
    if not count:
        return
    queries = own.heads * own.head_dim * (2 if model.query_gate else 1)
    keys = own.kv_heads * (own.head_dim + (0 if shared else own.value_dim))
    yield Linear(f"{kind}qkv", "attention", queries + keys, model.hidden, count, "n")
    yield Linear(f"{kind}o", "attention", model.hidden, own.heads * own.value_dim, count, "k")


def _indexer(model: Model, index: SparseIndex) -> Iterator[Linear]:
    """The indexer's projections, whole on every GPU."""
    rank = model.mla.q_rank if model.mla and model.mla.q_rank else model.hidden
    yield Linear("index q", "attention", index.heads * index.head_dim, rank, model.indexed, "none")
    width = index.head_dim + index.heads
    yield Linear("index k", "attention", width, model.hidden, model.indexed, "none")


def _latent_attention(model: Model, mla: Mla) -> Iterator[Linear]:
    heads, count = model.heads, model.full_layers
    queries = heads * (mla.nope_dim + mla.rope_dim)
    if mla.q_rank is not None:
        # Engines compute both latents in one product.
        yield Linear("qkv_a", "attention", mla.q_rank + mla.latent, model.hidden, count, "none")
        yield Linear("q_b", "attention", queries, mla.q_rank, count, "n")
    else:
        yield Linear("q", "attention", queries, model.hidden, count, "n")
        yield Linear("kv_a", "attention", mla.latent, model.hidden, count, "none")
    yield Linear("kv_b", "attention", heads * (mla.nope_dim + mla.v_dim), mla.kv_rank, count, "n")
    yield Linear("o", "attention", model.hidden, heads * mla.v_dim, count, "k")


def _mlp(model: Model) -> Iterator[Linear]:
    if model.dense_layers:
        width, count = model.intermediate, model.dense_layers
        yield Linear(_up(model), "mlp", _ups(model) * width, model.hidden, count, "n")
        yield Linear("down", "mlp", model.hidden, width, count, "k")


def _experts(model: Model) -> Iterator[Linear]:
    moe, count = model.moe, model.moe_layers
    if moe is None:
        return
    yield Linear("router", "router", moe.experts, model.hidden, count, "none")
    inside = moe.latent or model.hidden
    if moe.latent:
        yield Linear("latent in", "mlp", moe.latent, model.hidden, count, "none")
        yield Linear("latent out", "mlp", model.hidden, moe.latent, count, "none")
    up, ups = _up(model), _ups(model)
    yield Linear(f"expert {up}", "experts", ups * moe.intermediate, inside, count, "n", moe)
    yield Linear("expert down", "experts", inside, moe.intermediate, count, "k", moe)
    if moe.shared_width:
        yield Linear(f"shared {up}", "mlp", ups * moe.shared_width, model.hidden, count, "n")
        yield Linear("shared down", "mlp", model.hidden, moe.shared_width, count, "k")


def _up(model: Model) -> str:
    return "gate_up" if model.gated else "up"


def _ups(model: Model) -> int:
    """Products that enter an MLP: the up projection, and the gate where there is one."""
    return 2 if model.gated else 1


def _head(model: Model) -> Linear:
    return Linear("lm_head", "head", model.vocab, model.hidden, 1, "n")


def embedding_parameters(model: Model) -> int:
    """The input embedding: a table of which a step reads one row per token."""
    return model.vocab * model.hidden


def norm_parameters(model: Model) -> int:
    """RMSNorm weights: two per layer and the last one."""
    return model.hidden * (2 * model.layers + 1)


@lru_cache(maxsize=256)
def linear_parameters(model: Model) -> int:
    """Weights of all linear layers, every expert included."""
    return sum(layer.parameters for layer in linear_layers(model))


def total_parameters(model: Model) -> int:
    """All parameters; a tied head is the embedding and counts once."""
    tied = embedding_parameters(model) if model.tied_embeddings else 0
    return linear_parameters(model) + embedding_parameters(model) + norm_parameters(model) - tied
