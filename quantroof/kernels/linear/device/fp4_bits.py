"""The bits of eight e2m1 codes in a word, laid out so that a rotation and a mask make bf16 of two of them.

A code s e e m becomes bf16 by moving its sign to bit 15 and the rest to bits 8 to 6: that is the value times
2^-126, because the exponent biases are 1 and 127, subnormals included. Three of four pairs come out with one
rotation and one mask; the bits that are left over belong to the last pair, which takes two of each. Found by
search: no layout needs fewer than four rotations and five masks.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import torch
import triton
import triton.language as tl

from quantroof.kernels.linear.device.fragments import codes_4bit, words_4bit

ROTATIONS = (6, 12, 2)
"""Left rotations of a word that bring the first three pairs to their places."""
LAST_ROTATION = 8
PLACES = (6, 7, 8, 15)
"""Where the bits of a code (mantissa, exponent, sign) lie in a half of a bf16 pair."""
KEPT = 8
"""The place of the last pair that is filled without a rotation."""


def _sources() -> tuple[tuple[int, int, int, int], ...]:
    """For each nibble of a plain word, where its four bits lie in the packed one."""
    nibbles = []
    for nibble in range(8):
        pair, half = nibble % 4, nibble // 4
        last = [0 if place == KEPT else LAST_ROTATION for place in PLACES]
        turns = last if pair == len(ROTATIONS) else [ROTATIONS[pair]] * 4
        bits = [(place + 16 * half - turn) % 32 for place, turn in zip(PLACES, turns, strict=True)]
        nibbles.append((bits[0], bits[1], bits[2], bits[3]))
    return tuple(nibbles)


SOURCES = _sources()
_SOURCES = tl.constexpr(SOURCES)


def scatter_bits(packed: torch.Tensor) -> torch.Tensor:
    """uint8 words of eight nibbles, the last axis a multiple of 4 -> the same words with their bits moved."""
    words = packed.view(torch.int32).long() & 0xFFFFFFFF
    moved = torch.zeros_like(words)
    for nibble, bits in enumerate(SOURCES):
        for bit, place in enumerate(bits):
            moved |= (words >> (4 * nibble + bit) & 1) << place
    signed = torch.where(moved >= 1 << 31, moved - (1 << 32), moved)
    return signed.to(torch.int32).view(torch.uint8)


@triton.jit
def codes_fp4(packed, BN: tl.constexpr, BK: tl.constexpr, WIDE: tl.constexpr):
    """The codes 0..15 as int32 [BN, BK], by plain operations: what the assembly is a fast form of."""
    bytes_ = words_4bit(packed, BN, BK).to(tl.int32)
    place = tl.arange(0, 2)[:, None] * 2 + tl.arange(0, 2)[None, :]
    word = tl.sum(tl.sum(bytes_ << (8 * place), axis=8), axis=7)
    plain = tl.zeros_like(bytes_)
    for nibble in tl.static_range(8):
        code = tl.zeros_like(word)
        for bit in tl.static_range(4):
            code |= ((word >> _SOURCES[nibble][bit]) & 1) << bit
        wide = tl.expand_dims(tl.expand_dims(code, 7), 8) << (4 * (nibble % 2))
        plain += tl.where(place == nibble // 2, wide, 0)
    return codes_4bit(plain.to(tl.uint8).reshape(packed.shape), BN, BK, WIDE, False)
