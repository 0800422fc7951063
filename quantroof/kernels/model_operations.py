"""Attention and experts of models by name, as `layers` has their linear layers."""

from __future__ import annotations

import tomllib
from fnmatch import fnmatchcase
from functools import lru_cache
from importlib.resources import files
from typing import Any

from quantroof.errors import unknown_name
from quantroof.kernels.attention.case import Attention

ExpertLayer = tuple[int, int, int, int]
"""Experts, experts per token, N, K."""


@lru_cache(maxsize=1)
def _file() -> dict[str, dict[str, dict[str, int]]]:
    text = files("quantroof.kernels").joinpath("operations.toml").read_text(encoding="utf-8")
    parsed: dict[str, Any] = tomllib.loads(text)
    return parsed


def attention_of(pattern: str, where: str | None = None) -> list[Attention]:
    """Attention of the models that match a shell pattern; UsageError if none does."""
    shapes = [_attention(**shape) for shape in _matching("attention", "model", pattern, where)]
    return list(dict.fromkeys(shapes))


def experts_of(pattern: str, where: str | None = None) -> list[ExpertLayer]:
    """Expert layers (`qwen3-30b-a3b/gate_up`) that match a shell pattern; UsageError if none does."""
    keys = ("experts", "per_token", "n", "k")
    layers = [tuple(layer[key] for key in keys) for layer in _matching("experts", "layer", pattern, where)]
    return [(experts, per_token, n, k) for experts, per_token, n, k in dict.fromkeys(layers)]


def _matching(table: str, what: str, pattern: str, where: str | None) -> list[dict[str, int]]:
    named = _file()[table]
    matching = [shape for name, shape in named.items() if fnmatchcase(name, pattern)]
    if not matching:
        raise unknown_name(what, pattern, list(named), where)
    return matching


def _attention(heads: int, kv_heads: int, head_dim: int, v_dim: int | None = None) -> Attention:
    return Attention(heads, kv_heads, head_dim, v_dim or head_dim, latent=v_dim is not None)
