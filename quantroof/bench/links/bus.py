"""Message sizes of collectives, and bus bandwidth as nccl-tests defines it. Imports no torch.

Bus bandwidth is the rate that one link carries in one direction, whatever the number of ranks. With a size S
and n ranks, an all-reduce sends 2 (n - 1) / n of S over each link; an all-gather (S is what each rank ends
up with) and an all-to-all (S is what each rank sends) send (n - 1) / n of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Collective = Literal["all_reduce", "all_gather", "all_to_all"]
COLLECTIVES: tuple[Collective, ...] = get_args(Collective)
SIZES = tuple(4**power << 10 for power in range(12))
"""Bytes: 1 KB to 4 GB in steps of four."""
_BRIEF_SIZES = (16 << 10, 256 << 20)

# For the estimate only; allowances, not measured on a GPU node.
_START_S = 8.0  # a process imports torch and opens the GPUs; ranks start together
_COPY_S, _MESSAGE_S = 0.25, 0.5


def bus_bytes(collective: Collective, size: int, ranks: int) -> int:
    """Bytes that each link carries in one direction."""
    return size * (2 if collective == "all_reduce" else 1) * (ranks - 1) // ranks


def whole_size(size: int, ranks: int) -> int:
    """The largest size up to this one that every rank shares in whole float32 values, at least one each."""
    return max(size // (4 * ranks), 1) * 4 * ranks


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """What is measured of the links. `pairs` copies between all pairs of GPUs, else between neighbors."""

    pairs: bool = True
    collectives: tuple[Collective, ...] = COLLECTIVES
    sizes: tuple[int, ...] = SIZES

    def estimate_s(self, gpus: int) -> float:
        """Expected seconds on a node of this many GPUs, one at least; a lone GPU has copies to its host."""
        host = _START_S + 2 * gpus * _COPY_S
        if gpus < 2:
            return host
        between = gpus * (gpus - 1 if self.pairs else 1) * _COPY_S
        messages = len(self.collectives) * len(self.sizes) * _MESSAGE_S
        return host + 2 * _START_S + between + messages


FULL = LinkPlan()
"""For a burn-in: under two minutes on a node of eight."""
BRIEF = LinkPlan(pairs=False, collectives=("all_reduce",), sizes=_BRIEF_SIZES)
"""For a run: neighbors, and the latency and the rate of an all-reduce."""


def name_of(collective: Collective, ids: Sequence[str]) -> str:
    """The name of a collective's record."""
    return f"{collective}/{'+'.join(ids)}"
