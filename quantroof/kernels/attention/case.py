"""Decode attention: one new token per sequence reads the whole KV cache. Its shape, counts and id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from quantroof.errors import UsageError
from quantroof.kernels.case import PARSERS, Case
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import CACHES, cache_scheme

PREFIX = "decode_attention/"
_ID = re.compile(
    r"decode_attention/(?P<weight>[^-/]+)-(?P<activation>[^-/]+)-(?P<output>[^-/]+)"
    r"/b(?P<b>\d+)-h(?P<h>\d+)-g(?P<g>\d+)-d(?P<d>\d+)(?:-v(?P<v>\d+))?-c(?P<c>\d+)"
)
_HINT = "like decode_attention/bf16-bf16-bf16/b8-h32-g8-d128-c4096"


@dataclass(frozen=True, slots=True)
class Attention:
    """The shape: query heads, KV heads, and the widths of a head's keys and values.

    With `latent`, values are the first columns of the keys and are not stored again: MLA after its weights
    were absorbed (DeepSeek-V2, arXiv 2405.04434: 512 latent and 64 rotary columns, one KV head).
    """

    heads: int
    kv_heads: int
    head_dim: int
    v_dim: int
    latent: bool = False


@dataclass(frozen=True, slots=True)
class AttentionCase(Case):
    """o = softmax(q k^T / sqrt(d)) v for M sequences of `context` tokens, one query token per sequence.

    The weight is the cache, [rows, d]: the keys of every sequence, KV head and token, then the values
    likewise. M counts sequences, N = heads x width of a value, K = d. Counts: 2 operations per multiply-add
    of both products, none for the softmax; bytes are the cache with its scales, queries and output, once.
    """

    shape: Attention = Attention(1, 1, 1, 1)
    context: int = 1

    def __post_init__(self) -> None:
        if self.context < 1:
            raise UsageError(f"a context of {self.context} tokens is empty")
        shape = self.shape
        if min(shape.heads, shape.kv_heads) < 1 or shape.heads % shape.kv_heads:
            raise UsageError(f"{shape.heads} query heads cannot share {shape.kv_heads} KV heads evenly")
        if shape.v_dim > shape.head_dim and shape.latent:
            raise UsageError(f"{shape.v_dim} latent values are not among {shape.head_dim} columns of a key")
        if shape.v_dim != shape.head_dim and not shape.latent:
            raise UsageError(f"keys of {shape.head_dim} and values of {shape.v_dim} columns need two caches")
        super(AttentionCase, self).__post_init__()

    @classmethod
    def of(cls, cache: str, shape: Attention, batch: int, context: int) -> AttentionCase:
        """A case of a KV-cache format (`bf16-kv`); UsageError for an unknown one."""
        chosen = cache_scheme(cache)
        formats = (chosen.weight, chosen.activation, chosen.output)
        width = shape.heads * shape.v_dim
        return cls("decode_attention", *formats, batch, width, shape.head_dim, shape, context)

    @classmethod
    def parse(cls, text: str) -> AttentionCase:
        """Read a case id back."""
        match = _ID.fullmatch(text)
        if match is None:
            raise UsageError(f"'{text}' is not a case id", hint=_HINT)
        weight, activation, output = (Format.parse(match[key]) for key in ("weight", "activation", "output"))
        heads, groups, head_dim, batch, context = (int(match[key]) for key in "hgdbc")
        v_dim = int(match["v"] or head_dim)
        shape = Attention(heads, groups, head_dim, v_dim, latent=match["v"] is not None)
        formats = (weight, activation, output)
        return cls("decode_attention", *formats, batch, heads * v_dim, head_dim, shape, context)

    @property
    def id(self) -> str:
        """Stable text: `decode_attention/bf16-bf16-bf16/b8-h32-g8-d128-c4096`, with `-v512` for MLA."""
        shape = self.shape
        values = f"-v{shape.v_dim}" if shape.latent else ""
        formats = f"{self.weight}-{self.activation}-{self.output}"
        heads = f"h{shape.heads}-g{shape.kv_heads}-d{shape.head_dim}{values}"
        return f"{PREFIX}{formats}/b{self.m}-{heads}-c{self.context}"

    @property
    def sizes(self) -> str:
        """The shape as people read it: `8x4096, 32/8 heads of 128`."""
        shape = self.shape
        return f"{self.m}x{self.context}, {shape.heads}/{shape.kv_heads} heads of {shape.head_dim}"

    @property
    def words(self) -> str:
        """For people: `bf16-kv, 8 sequences of 4096, 32/8 heads of 128` (heads of queries / of keys)."""
        shape = self.shape
        heads = f"{shape.heads}/{shape.kv_heads} heads of {shape.head_dim}"
        return f"{self.scheme}, {self.m} sequences of {self.context}, {heads}"

    @cached_property
    def scheme(self) -> str:
        """The name of the cache's format, or the bare formats where they have no name."""
        own = (self.weight, self.activation, self.output)
        for known in CACHES.values():
            if (known.weight, known.activation, known.output) == own:
                return known.name
        return f"{self.weight}-{self.activation}-kv"

    @property
    def kernel_scheme(self) -> str | None:
        """What kernels name among their schemes."""
        return self.scheme

    @cached_property
    def flops(self) -> int:
        """2 (d + d_v) for every query head and token."""
        shape = self.shape
        return 2 * self.m * shape.heads * self.context * (shape.head_dim + shape.v_dim)

    @property
    def weight_rows(self) -> int:
        """Rows of the cache: keys, and values unless they are latent."""
        stored = 1 if self.shape.latent else 2
        return stored * self.m * self.shape.kv_heads * self.context

    @property
    def activation_rows(self) -> int:
        """A query per sequence and head."""
        return self.m * self.shape.heads


PARSERS[PREFIX] = AttentionCase.parse
