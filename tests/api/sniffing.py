"""One rank of a real gloo group with a planted slowdown: `sniffing.py RANK RANKS STORE SLOW FACTOR`.

The copy and the product run, and their time is replaced by a constant times the factor of the rank with half
a percent of seeded noise: two shared cores cannot time eight processes to 10 %. Rank 0 prints the result.
With a factor below 0 the product fails.
"""

from __future__ import annotations

import gc
import itertools
import json
import random
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

import quantroof as qr
from quantroof.bench.sniff import probe

Call = Callable[[], Any]


def main() -> None:
    """Join, sniff twice, and print what rank 0 was told."""
    rank, ranks, store, slow, factor = (
        *map(int, sys.argv[1:3]),
        sys.argv[3],
        int(sys.argv[4]),
        float(sys.argv[5]),
    )
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=ranks, timeout=timedelta(seconds=60)
    )
    now = [1.0]
    _plant(rank, now)
    before = _tensors()
    healthy = qr.sniff(seconds=0.2)
    now[0] = factor if rank == slow else 1.0
    alone = qr.sniff(seconds=0.2)
    beside = qr.sniff(seconds=0.2, past=healthy)
    if rank == 0:
        told = [_told(one) for one in (healthy, alone, beside)]
        print(json.dumps({"results": told, "left": _left(before)}))
    dist.destroy_process_group()


def _plant(rank: int, factor: list[float]) -> None:
    noise = random.Random(rank)
    turns = itertools.cycle((0, 1))
    timed = probe._timed

    def planted(call: Call, device: torch.device, seconds: float, barrier: Call) -> float:
        product = next(turns)
        if factor[0] < 0 and product:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        assert timed(call, device, seconds, barrier) > 0
        return (2e6 if product else 1e6) * factor[0] * (1 + noise.gauss(0, 0.005))

    probe._timed = planted


def _told(result: Any) -> dict[str, Any]:
    return {
        "verdict": result.verdict.state,
        "bad": [rank.rank for rank in result.bad],
        "text": str(result),
        "ranks": len(result.ranks),
    }


def _left(before: int) -> int:
    """The tensors that stay; those of a collective were once seen a moment after its end."""
    until_s = time.monotonic() + 5.0
    while (left := _tensors() - before) > 0 and time.monotonic() < until_s:
        time.sleep(0.05)
    return left


def _tensors() -> int:
    gc.collect()
    return sum(isinstance(thing, torch.Tensor) for thing in gc.get_objects())


main()
