"""Decode attention with the cache split along its tokens: each part with its own softmax, then one merge.

A program takes all query heads of one KV head, so that the cache is read once. Parts keep their largest score
and the sum of their exponentials; the merge weighs them by both.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

from quantroof.kernels.device.numerics import dot, to_bf16


@triton.jit
def _fp4_rows(cache, scales, rows, inside, D: tl.constexpr):
    """Rows fp32 [BC, D] of e2m1 codes, two per byte, times their e4m3 scales per 16, no tensor scale.

    The bits of both types are moved to fp32's places: values come out 2^126 and 2^120 too small, subnormals
    included, because the exponent biases are 1, 7 and 127.
    """
    byte = tl.load(
        cache + rows[:, None] * (D // 2) + tl.arange(0, D // 2)[None, :], mask=inside[:, None], other=0
    ).to(tl.int32)
    codes = tl.join(byte & 15, byte >> 4).reshape(rows.shape[0], D)
    values = (((codes & 8) << 28) | ((codes & 7) << 22)).to(tl.float32, bitcast=True) * 2.0**126
    steps = tl.load(
        scales + rows[:, None] * (D // 16) + tl.arange(0, D // 16)[None, :], mask=inside[:, None], other=0
    ).to(tl.int32)
    steps = (steps << 20).to(tl.float32, bitcast=True) * 2.0**120
    spread = steps.reshape(rows.shape[0], D // 16, 1).broadcast_to(rows.shape[0], D // 16, 16)
    return values * spread.reshape(rows.shape[0], D)


@triton.jit(do_not_specialize=["context", "values_at", "qk_scale"])
def attend_part(
    q, cache, scales, sums, stats, context, values_at, qk_scale,
    HEADS: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr, BC: tl.constexpr, PER_PART: tl.constexpr,
    SCALED: tl.constexpr,
):  # fmt: skip
    """q bf16 [b, g, HEADS, D]; cache [2, b, g, context, D]; sums fp32 [b g, parts, ROWS, D].

    stats holds 2 numbers for each row of sums. values_at is the row where the values begin. SCALED: "none",
    "tensor" (scales [1]), "token" (scales [2, b, g, context]) or "block": cache uint8 [2, b, g, context,
    D / 2] and scales uint8 [2, b, g, context, D / 16], followed by the fp32 tensor scale. Grid: (b g, parts).
    """
    pair, part = tl.program_id(0), tl.program_id(1)
    head, column = tl.arange(0, ROWS), tl.arange(0, D)
    real = (head < HEADS)[:, None]
    queries = tl.load(q + (pair * HEADS + head)[:, None] * D + column[None, :], mask=real, other=0.0)
    largest = tl.full((ROWS,), -1e30, tl.float32)
    total = tl.zeros((ROWS,), tl.float32)
    acc = tl.zeros((ROWS, D), tl.float32)
    first_row = pair.to(tl.int64) * context
    for start in range(part * PER_PART, tl.minimum(part * PER_PART + PER_PART, context), BC):
        token = start + tl.arange(0, BC)
        inside = token < context
        rows = first_row + token
        if SCALED == "block":
            keys = _fp4_rows(cache, scales, rows, inside, D)
            values = _fp4_rows(cache, scales, rows + values_at, inside, D)
        else:
            at = rows[:, None] * D + column[None, :]
            keys = tl.load(cache + at, mask=inside[:, None], other=0.0)
            values = tl.load(
                cache + (rows + values_at)[:, None] * D + column[None, :], mask=inside[:, None], other=0.0
            )
        scores = dot(queries, tl.trans(to_bf16(keys.to(tl.float32))), tl.zeros((ROWS, BC), tl.float32))
        scores *= qk_scale
        if SCALED == "token":
            scores *= tl.load(scales + rows, mask=inside, other=0.0)[None, :]
        if SCALED == "tensor":
            scores *= tl.load(scales)
        if SCALED == "block":
            scores *= tl.load((scales + values_at.to(tl.int64) * (D // 8)).to(tl.pointer_type(tl.float32)))
        scores = tl.where(inside[None, :], scores, -1e30)
        new = tl.maximum(largest, tl.max(scores, axis=1))
        kept = tl.exp(largest - new)
        weights = tl.where(inside[None, :], tl.exp(scores - new[:, None]), 0.0)
        total = total * kept + tl.sum(weights, axis=1)
        if SCALED == "token":
            weights *= tl.load(scales + values_at + rows, mask=inside, other=0.0)[None, :]
        acc = dot(to_bf16(weights), to_bf16(values.to(tl.float32)), acc * kept[:, None])
        largest = new
    if SCALED == "tensor":
        acc *= tl.load(scales)
    if SCALED == "block":
        acc *= tl.load((scales + values_at.to(tl.int64) * (D // 8)).to(tl.pointer_type(tl.float32)))
    place = (pair * tl.num_programs(1) + part) * ROWS + head
    tl.store(sums + place[:, None] * D + column[None, :], acc)
    tl.store(stats + place * 2, largest)
    tl.store(stats + place * 2 + 1, total)


@triton.jit(do_not_specialize=["parts"])
def merge_parts(sums, stats, y, parts, HEADS: tl.constexpr, ROWS: tl.constexpr, D: tl.constexpr):
    """y bf16 [b, g, HEADS, D] of the parts' sums and stats. Grid: (b g)."""
    pair = tl.program_id(0)
    head, column = tl.arange(0, ROWS), tl.arange(0, D)
    largest = tl.full((ROWS,), -1e30, tl.float32)
    for part in range(parts):
        place = (pair * parts + part) * ROWS + head
        largest = tl.maximum(largest, tl.load(stats + place * 2))
    total = tl.zeros((ROWS,), tl.float32)
    acc = tl.zeros((ROWS, D), tl.float32)
    for part in range(parts):
        place = (pair * parts + part) * ROWS + head
        weight = tl.exp(tl.load(stats + place * 2) - largest)
        total += weight * tl.load(stats + place * 2 + 1)
        acc += weight[:, None] * tl.load(sums + place[:, None] * D + column[None, :])
    out = y + (pair * HEADS + head)[:, None] * D + column[None, :]
    tl.store(out, to_bf16(acc / total[:, None]), mask=(head < HEADS)[:, None])
