"""One rank of the collectives over the GPUs of a node: NCCL on GPUs, gloo on a CPU.

Run as `python -m quantroof.bench.links.collectives RANK STORE COLLECTIVES SIZES DEVICE DEVICE ...`, once for
each rank, lists with commas; rank 0 prints one ceiling per collective and size. Every result is checked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import cast

import torch
import torch.distributed as dist

from quantroof.bench.links.bus import Collective, bus_bytes, name_of, whole_size
from quantroof.bench.links.sampling import link_ceiling, link_timing, print_line

_TIMEOUT = timedelta(seconds=30)
_MEMORY_SHARE = 0.4  # of the free memory; an all-to-all has two buffers


def _all_reduce(size: int, device: torch.device) -> Callable[[], object]:
    """Checked once: the sum of rank + 1 over all ranks. Then zeros, so that no number of calls overflows."""
    ranks, rank = dist.get_world_size(), dist.get_rank()
    values = torch.full((size // 4,), float(rank + 1), device=device)
    dist.all_reduce(values)
    _check(values, float(ranks * (ranks + 1) // 2))
    values.zero_()
    return partial(dist.all_reduce, values)


def _all_gather(size: int, device: torch.device) -> Callable[[], object]:
    """Checked once: part i of the result is what rank i had."""
    ranks, rank = dist.get_world_size(), dist.get_rank()
    own = torch.full((size // 4 // ranks,), float(rank), device=device)
    everything = torch.empty(size // 4, device=device)
    dist.all_gather_into_tensor(everything, own)
    for source, part in enumerate(everything.chunk(ranks)):
        _check(part, float(source))
    return partial(dist.all_gather_into_tensor, everything, own)


def _all_to_all(size: int, device: torch.device) -> Callable[[], object]:
    """Checked once: part i of the result is what rank i sent here."""
    ranks, rank = dist.get_world_size(), dist.get_rank()
    sent = torch.empty(size // 4, device=device)
    for target, part in enumerate(sent.chunk(ranks)):
        part.fill_(float(rank * ranks + target))
    received = torch.empty_like(sent)
    dist.all_to_all_single(received, sent)
    for source, part in enumerate(received.chunk(ranks)):
        _check(part, float(source * ranks + rank))
    return partial(dist.all_to_all_single, received, sent)


_PREPARE: dict[Collective, Callable[[int, torch.device], Callable[[], object]]] = {
    "all_reduce": _all_reduce,
    "all_gather": _all_gather,
    "all_to_all": _all_to_all,
}


def _check(values: torch.Tensor, expected: float) -> None:
    if not bool((values == expected).all()):
        raise RuntimeError("wrong data arrived: a link or a rank changes bits")


def _agreed_calls(own_calls: int, device: torch.device) -> int:
    """The number of calls that rank 0 asks for: every rank must make the same ones."""
    calls = torch.tensor([own_calls], device=device)
    dist.broadcast(calls, 0)
    return int(calls.item())


def _join(rank: int, store: str, ids: list[str]) -> torch.device:
    gpu = ids[0].startswith("cuda")
    device = torch.device("cuda", rank) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if gpu else "gloo",
        init_method=f"file://{store}",
        rank=rank,
        world_size=len(ids),
        timeout=_TIMEOUT,
    )
    return device


def _fits(size: int, device: torch.device) -> bool:
    """Whether both buffers of an all-to-all fit on every rank."""
    room = _MEMORY_SHARE * torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else size
    fits = torch.tensor([int(size <= room)], device=device)
    dist.all_reduce(fits, dist.ReduceOp.MIN)
    return bool(fits.item())


def main() -> None:
    """Join the other ranks and measure; rank 0 prints the ceilings."""
    rank, store, ids = int(sys.argv[1]), sys.argv[2], sys.argv[5:]
    names = cast("list[Collective]", sys.argv[3].split(","))
    device = _join(rank, store, ids)
    for name in names:
        for size in (whole_size(int(text), len(ids)) for text in sys.argv[4].split(",")):
            if not _fits(size, device):
                continue
            call = _PREPARE[name](size, device)
            timing = link_timing(call, device, partial(_agreed_calls, device=device))
            if rank == 0:
                moved, kernel = bus_bytes(name, size, len(ids)), f"torch.distributed/{dist.get_backend()}"
                print_line(link_ceiling(ids[0], name_of(name, ids), kernel, moved, timing, size))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
