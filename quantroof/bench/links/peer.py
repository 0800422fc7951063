"""Copies between neighboring GPUs, in one process that uses them all.

Run as `python -m quantroof.bench.links.peer DEVICE DEVICE ...` with the ids of the run (`cuda:0 cuda:1`), in
the order of CUDA_VISIBLE_DEVICES; prints one ceiling per line. `cpu` ids copy in host memory.
"""

from __future__ import annotations

import sys

import msgspec
import torch

from quantroof.bench.links.sampling import link_ceiling, payload_bytes, samples_ns
from quantroof.records.lines import Ceiling


def neighbors(count: int) -> list[tuple[int, int]]:
    """(from, to) round the ring, so that each GPU sends once and receives once."""
    return [(place, (place + 1) % count) for place in range(count)]


def peer_copy(ids: list[str], source: int, target: int) -> Ceiling:
    """From one GPU's memory to another's; torch opens peer access where the driver allows it."""
    begin, end = (_where(ids[place], place) for place in (source, target))
    size = payload_bytes(begin)
    values = torch.randint(-(2**31), 2**31 - 1, (size // 4,), dtype=torch.int32, device=begin)
    landing = torch.empty_like(values, device=end)

    def call() -> None:
        landing.copy_(values, non_blocking=True)

    samples = samples_ns(call, begin)
    if not torch.equal(landing.cpu(), values.cpu()):
        raise RuntimeError("the copy differs from its source")
    return link_ceiling(ids[source], f"peer_copy/{ids[target]}", "torch.copy_", size, samples)


def _where(device: str, place: int) -> torch.device:
    return torch.device("cpu") if device.startswith("cpu") else torch.device("cuda", place)


def main() -> None:
    """Measure every neighbor."""
    ids = sys.argv[1:]
    for source, target in neighbors(len(ids)):
        print(msgspec.json.encode(peer_copy(ids, source, target)).decode(), flush=True)


if __name__ == "__main__":
    main()
