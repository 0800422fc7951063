"""A model's architecture: the sizes that decide memory and time."""

from __future__ import annotations

from typing import Annotated

import msgspec

Positive = Annotated[int, msgspec.Meta(ge=1)]
Count = Annotated[int, msgspec.Meta(ge=0)]


class Moe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Routed experts: each token uses `per_token` of `experts`, and all `shared` ones.

    The first `dense_layers` layers of the model have an ordinary MLP instead.
    """

    experts: Positive
    per_token: Positive
    intermediate: Positive
    shared: Count = 0
    dense_layers: Count = 0

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


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The architecture of a decoder-only transformer with gated MLPs. Sizes count elements.

    `full_layers` attend to the whole context; the others to the last `window` tokens.
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
    max_context: Positive | None = None
    native_dtype: str = "bfloat16"
    moe: Moe | None = None
    mla: Mla | None = None
    published_b: float | None = None
    source: str
    verified: bool = True
    note: str | None = None

    @property
    def moe_layers(self) -> int:
        """Layers whose MLP is a set of routed experts."""
        return self.layers - self.moe.dense_layers if self.moe else 0

    @property
    def dense_layers(self) -> int:
        """Layers with an ordinary MLP."""
        return self.layers - self.moe_layers

    def attended(self, context: int) -> int:
        """Tokens read by the attention of all layers together, for one new token at a context length."""
        sliding = self.layers - self.full_layers
        return self.full_layers * context + sliding * min(context, self.window or context)
