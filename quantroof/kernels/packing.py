"""Two 4-bit codes per byte, as checkpoints store them: even columns in the low nibble. Pure torch."""

from __future__ import annotations

import torch


def pack_nibbles(codes: torch.Tensor) -> torch.Tensor:
    """Codes [rows, K] of 0..15 (K even) -> uint8 [rows, K / 2]."""
    if codes.shape[-1] % 2:
        raise ValueError(f"K = {codes.shape[-1]} is odd: two codes share a byte")
    nibbles = codes.to(torch.uint8)
    if bool((nibbles > 15).any()):
        raise ValueError("a 4-bit code is 0..15; add the offset of signed codes first")
    return nibbles[..., ::2] | (nibbles[..., 1::2] << 4)


def unpack_nibbles(packed: torch.Tensor) -> torch.Tensor:
    """uint8 [rows, K / 2] -> codes [rows, K] of 0..15."""
    return torch.stack((packed & 15, packed >> 4), dim=-1).flatten(-2)


def gptq_words(codes: torch.Tensor) -> torch.Tensor:
    """Codes [N, K] of 0..15 as GPTQ stores them: int32 [K / 8, N], row 8 i + j of K in nibble j."""
    columns = codes.T.to(torch.int32).reshape(codes.shape[1] // 8, 8, codes.shape[0])
    shifts = torch.arange(0, 32, 4, dtype=torch.int32, device=codes.device)[None, :, None]
    return (columns << shifts).sum(dim=1, dtype=torch.int32)
