"""A model's architecture: the sizes that decide memory and time."""

from __future__ import annotations

from typing import Annotated

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Moe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Routed experts: each token uses `per_token` of `experts`, and all `shared` ones.

    `dense_layers` layers of the model have an ordinary MLP instead. A shared expert is as wide as a routed
    one unless `shared_intermediate` states the width of all of them together. With a `latent`, tokens are
    projected to that width before the experts and back after them (LatentMoE).
    """

    experts: Positive
    per_token: Positive
    intermediate: Positive
    shared: Count = 0
    shared_intermediate: Positive | None = None
    dense_layers: Count = 0
    latent: Positive | None = None

    @property
    def shared_width(self) -> int:
        """The width of the shared experts together, 0 without them."""
        return self.shared_intermediate or self.shared * self.intermediate

    def expected_hit(self, tokens: int) -> float:
        """Experts that at least one of `tokens` tokens uses, if routing is uniform: E (1 - (1 - k/E)^B)."""
        return self.experts * (1 - (1 - self.per_token / self.experts) ** tokens)


class Mla(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Multi-head latent attention (DeepSeek-V2, arXiv 2405.04434): caches kv_rank + rope_dim per token."""

    kv_rank: Positive
    q_rank: Positive | None = None
    rope_dim: Positive
    nope_dim: Positive
    v_dim: Positive

    @property
    def latent(self) -> int:
        """Elements cached per token and layer."""
        return self.kv_rank + self.rope_dim


class Heads(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Attention heads of one kind of layer; values are as wide as keys unless `v_dim` differs."""

    heads: Positive
    kv_heads: Positive
    head_dim: Positive
    v_dim: Positive | None = None

    @property
    def value_dim(self) -> int:
        """The width of one head's values."""
        return self.v_dim or self.head_dim


class Recurrent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Layers with a state of fixed size in place of a cache: linear attention or Mamba.

    `inputs` outputs are projected from the hidden state and `inner` inputs back to it; a sequence keeps
    `state` elements of fp32 per layer.
    """

    layers: Positive
    inputs: Positive
    inner: Positive
    state: Positive


class SparseIndex(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An indexer that picks the `top_k` tokens which attention reads (DeepSeek-V3.2, arXiv 2512.02556).

    Its keys, `head_dim` fp8 numbers and one scale per token and layer, are cached beside the rest, and a step
    reads all of them.
    """

    heads: Positive
    head_dim: Positive
    top_k: Positive
    layers: Positive | None = None
    """Layers that have one, all full layers unless stated."""


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The architecture of a decoder-only language model. Sizes count elements.

    `full_layers` attend to the whole context, `sliding_layers` (all others that are not recurrent, unless
    stated) to the last `window` tokens, with heads of their own where `local` is stated.
    """

    id: str
    repository: str | None = None
    hidden: Positive
    layers: Positive
    heads: Positive
    kv_heads: Positive
    head_dim: Positive
    intermediate: Positive
    vocab: Positive
    tied_embeddings: bool = False
    window: Positive | None = None
    full_layers: Count
    sliding_layers: Count | None = None
    mlp_layers: Count | None = None
    """Layers that have an MLP, all unless stated."""
    v_dim: Positive | None = None
    local: Heads | None = None
    keys_are_values: bool = False
    """Whether full layers have no value projection: their values are the keys (Gemma 4)."""
    query_gate: bool = False
    """Whether attention's output is multiplied by a gate that is as wide as the queries (Qwen3.5)."""
    gated: bool = True
    """Whether an MLP has a gate beside its up projection."""
    recurrent: Recurrent | None = None
    index: SparseIndex | None = None
    max_context: Positive | None = None
    native_dtype: str = "bfloat16"
    native_format: str | None = None
    """The format that the repository's own checkpoint is stored and served in, None for 16 bit."""
    checkpoints: tuple[tuple[str, str], ...] = ()
    """Other repositories of the same architecture, with the format that each is stored in."""
    wide: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """A format, and the parts that the published checkpoint in this format leaves in 16 bit."""
    moe: Moe | None = None
    mla: Mla | None = None
    published_b: float | None = None
    source: str
    verified: bool = True
    note: str | None = None

    @property
    def global_heads(self) -> Heads:
        """The heads of the layers that attend to the whole context."""
        return Heads(heads=self.heads, kv_heads=self.kv_heads, head_dim=self.head_dim, v_dim=self.v_dim)

    @property
    def local_heads(self) -> Heads:
        """The heads of the layers that attend to a window."""
        return self.local or self.global_heads

    @property
    def windowed(self) -> int:
        """Layers that attend to a window."""
        if self.sliding_layers is not None:
            return self.sliding_layers
        return self.layers - self.full_layers - (self.recurrent.layers if self.recurrent else 0)

    @property
    def moe_layers(self) -> int:
        """Layers whose MLP is a set of routed experts."""
        return self._mlp_layers - self.moe.dense_layers if self.moe else 0

    @property
    def dense_layers(self) -> int:
        """Layers with an ordinary MLP."""
        return self._mlp_layers - self.moe_layers

    @property
    def _mlp_layers(self) -> int:
        return self.layers if self.mlp_layers is None else self.mlp_layers

    def cached(self, context: int) -> int:
        """Tokens that all layers together keep of a sequence at a context length."""
        return self.full_layers * context + self.windowed * min(context, self.window or context)

    def attended(self, context: int) -> int:
        """Tokens read by the attention of all layers together, for one new token at a context length."""
        picked = min(context, self.index.top_k) if self.index else context
        return self.cached(context) - self.indexed * (context - picked)

    @property
    def indexed(self) -> int:
        """Layers that read only the tokens which an indexer picked."""
        return 0 if self.index is None else self.index.layers or self.full_layers
