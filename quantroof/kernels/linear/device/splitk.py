"""Split-K in one launch: partial sums go to a workspace, and the last program to finish adds them.

The sum runs over the parts in their order, never in the order of arrival, so results are bit-identical from
launch to launch. The counter is left at 0, ready for the next launch: no memset and no second kernel. A
workspace serves one stream at a time; two launches that share it must be ordered.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import triton
import triton.language as tl

# Unrolled, all parts are in flight together and cost one round trip to L2, but they must fit the registers.
_ALL_AT_ONCE = tl.constexpr(16 * 1024)


@triton.jit
def reduce_parts(acc, partials, counters, tile, part, live, SPLIT: tl.constexpr):
    """Give `acc` [rows, cols] of one part to the workspace; return (the tile's sum, whether it was the last).

    `partials` holds SPLIT * rows * cols of acc's type per tile, `counters` one int32 per tile, zero between
    launches. Only the first `live` columns are written and read, each in one piece: at M = 1 the other 15
    would add a quarter to the weights' own traffic.
    """
    rows: tl.constexpr = acc.shape[0]
    cols: tl.constexpr = acc.shape[1]
    inside = tl.arange(0, rows)[:, None] + tl.arange(0, cols)[None, :] * rows
    alive = (tl.arange(0, cols) < live)[None, :]
    mine = partials + (tile * SPLIT + part).to(tl.int64) * (rows * cols)
    tl.store(mine + inside, acc, mask=alive)
    # Every thread's stores come before the barrier, the barrier before thread 0's release of the counter.
    tl.debug_barrier()
    arrived = tl.atomic_add(counters + tile, 1, sem="acq_rel", scope="gpu")
    last = arrived == SPLIT - 1
    if last:
        acc = tl.zeros((rows, cols), acc.dtype)
        first = partials + (tile * SPLIT).to(tl.int64) * (rows * cols)
        # .cg reads L2, where the other programs' stores are; an L1 line could be stale.
        if rows * cols * SPLIT <= _ALL_AT_ONCE:
            for index in tl.static_range(SPLIT):
                acc += tl.load(
                    first + index * (rows * cols) + inside, mask=alive, other=0, cache_modifier=".cg"
                )
        else:
            for index in tl.range(SPLIT, num_stages=1):
                acc += tl.load(
                    first + index * (rows * cols) + inside, mask=alive, other=0, cache_modifier=".cg"
                )
        tl.atomic_xchg(counters + tile, 0, sem="relaxed", scope="gpu")
    return acc, last
