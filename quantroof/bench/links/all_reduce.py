"""One rank of an all-reduce over two GPUs: NCCL on GPUs, gloo on a CPU.

Run as `python -m quantroof.bench.links.all_reduce RANK STORE DEVICE DEVICE`, once for each rank; rank 0
prints the ceiling. The rate is the bus bandwidth as nccl-tests defines it: payload x 2 (n - 1) / n over the
time, what one link carries in one direction whatever the number of ranks.
"""

from __future__ import annotations

import sys
from datetime import timedelta

import msgspec
import torch
import torch.distributed as dist

from quantroof.bench.links.sampling import link_ceiling, payload_bytes, samples_ns

_TIMEOUT = timedelta(seconds=30)


def bus_bytes(payload: int, ranks: int) -> int:
    """Bytes that each link carries in one direction: 2 (n - 1) / n of the payload."""
    return payload * 2 * (ranks - 1) // ranks


def main() -> None:
    """Join the other ranks and reduce; rank 0 prints the ceiling."""
    rank, store, ids = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
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
    size = payload_bytes(device)
    values = torch.ones(size // 4, device=device)
    dist.all_reduce(values)
    if not torch.equal(values, torch.full_like(values, len(ids))):
        raise RuntimeError("the sum over the ranks is wrong")
    values.zero_()  # sums stay zero, so that no number of calls overflows
    samples = samples_ns(lambda: _reduce(values), device)
    if rank == 0:
        kernel = "torch.distributed/nccl" if gpu else "torch.distributed/gloo"
        name, moved = f"all_reduce/{'+'.join(ids)}", bus_bytes(size, len(ids))
        print(msgspec.json.encode(link_ceiling(ids[0], name, kernel, moved, samples)).decode(), flush=True)
    dist.destroy_process_group()


def _reduce(values: torch.Tensor) -> None:
    dist.all_reduce(values)


if __name__ == "__main__":
    main()
