"""The linear layers of a model: shapes, how tensor parallelism cuts them, and parameter counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from quantroof.advisor.models import Mla, Model, Moe

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

    @property
    def parameters(self) -> int:
        """Weights of all such layers of the model, every expert included."""
        return self.n * self.k * self.count * (self.moe.experts if self.moe else 1)

    @property
    def quantized(self) -> bool:
        """Whether a quantized checkpoint stores this layer in its format."""
        return self.part not in KEPT_WIDE

    def shard(self, ways: int) -> tuple[int, int]:
        """(N, K) that one of `ways` GPUs holds; what is cut is padded to whole blocks of 16, as engines do.

        gpt-oss' 2880 columns of an expert, cut in 8, are 360 each: padded to 368, else no group divides them.
        """
        return (
            _padded(self.n, ways) if self.cut == "n" else self.n,
            _padded(self.k, ways) if self.cut == "k" else self.k,
        )


def _padded(size: int, ways: int) -> int:
    return size if ways == 1 else -(-size // (ways * _BLOCK)) * _BLOCK


def linear_layers(model: Model) -> tuple[Linear, ...]:
    """Every linear layer of a model; q, k and v are one product, and so are gate and up."""
    return (*_attention(model), *_mlp(model), *_experts(model), _head(model))


def _attention(model: Model) -> Iterator[Linear]:
    if model.mla is not None:
        yield from _latent_attention(model, model.mla)
        return
    width = model.heads * model.head_dim
    qkv = (model.heads + 2 * model.kv_heads) * model.head_dim
    yield Linear("qkv", "attention", qkv, model.hidden, model.layers, "n")
    yield Linear("o", "attention", model.hidden, width, model.layers, "k")


def _latent_attention(model: Model, mla: Mla) -> Iterator[Linear]:
    heads, count = model.heads, model.layers
    queries = heads * (mla.nope_dim + mla.rope_dim)
    if mla.q_rank is not None:
        yield Linear("q_a", "attention", mla.q_rank, model.hidden, count, "none")
        yield Linear("q_b", "attention", queries, mla.q_rank, count, "n")
    else:
        yield Linear("q", "attention", queries, model.hidden, count, "n")
    yield Linear("kv_a", "attention", mla.latent, model.hidden, count, "none")
    yield Linear("kv_b", "attention", heads * (mla.nope_dim + mla.v_dim), mla.kv_rank, count, "n")
    yield Linear("o", "attention", model.hidden, heads * mla.v_dim, count, "k")


def _mlp(model: Model) -> Iterator[Linear]:
    if model.dense_layers:
        yield Linear("gate_up", "mlp", 2 * model.intermediate, model.hidden, model.dense_layers, "n")
        yield Linear("down", "mlp", model.hidden, model.intermediate, model.dense_layers, "k")


def _experts(model: Model) -> Iterator[Linear]:
    moe, count = model.moe, model.moe_layers
    if moe is None:
        return
    yield Linear("router", "router", moe.experts, model.hidden, count, "none")
    yield Linear("expert gate_up", "experts", 2 * moe.intermediate, model.hidden, count, "n", moe)
    yield Linear("expert down", "experts", model.hidden, moe.intermediate, count, "k", moe)
    if moe.shared:
        width = moe.shared * moe.intermediate
        yield Linear("shared gate_up", "mlp", 2 * width, model.hidden, count, "n")
        yield Linear("shared down", "mlp", model.hidden, width, count, "k")


def _head(model: Model) -> Linear:
    return Linear("lm_head", "head", model.vocab, model.hidden, 1, "n")


def embedding_parameters(model: Model) -> int:
    """The input embedding: a table of which a step reads one row per token."""
    return model.vocab * model.hidden


def norm_parameters(model: Model) -> int:
    """RMSNorm weights: two per layer and the last one."""
    return model.hidden * (2 * model.layers + 1)


def total_parameters(model: Model) -> int:
    """All parameters; a tied head is the embedding and counts once."""
    linear = sum(layer.parameters for layer in linear_layers(model))
    tied = embedding_parameters(model) if model.tied_embeddings else 0
    return linear + embedding_parameters(model) + norm_parameters(model) - tied
