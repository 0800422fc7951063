"""Decode attention in plain torch, in whatever precision its operands have; the reference in float64."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.attention.case import AttentionCase


def keys_and_values(case: AttentionCase, cache: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The cache [rows, d] as keys [M, KV heads, context, d] and values [M, KV heads, context, d_v]: views."""
    shape = case.shape
    dims = (case.m, shape.kv_heads, case.context, shape.head_dim)
    if shape.latent:
        keys = cache.view(dims)
        return keys, keys[..., : shape.v_dim]
    half = cache.shape[0] // 2
    return cache[:half].view(dims), cache[half:].view(dims)


def attend(case: AttentionCase, queries: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
    """softmax(q k^T / sqrt(d)) v as [M, heads x d_v], of queries [M x heads, d]."""
    shape = case.shape
    keys, values = keys_and_values(case, cache)
    q = queries.view(case.m, shape.kv_heads, shape.heads // shape.kv_heads, shape.head_dim)
    weights = (q @ keys.transpose(-1, -2) * shape.head_dim**-0.5).softmax(dim=-1)
    product: torch.Tensor = weights @ values
    return product.reshape(case.m, case.n)
