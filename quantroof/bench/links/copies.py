"""Copies between GPUs and between each GPU and the host, in one process that uses them all.

Run as `python -m quantroof.bench.links.copies WHAT DEVICE DEVICE ...` with the ids of the run (`cuda:0
cuda:1`) in the order of CUDA_VISIBLE_DEVICES; WHAT is `host`, `neighbors` or `pairs`. Prints one ceiling per
line. `cpu` ids copy in host memory.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import permutations

import torch

from quantroof.bench.links.sampling import link_ceiling, link_timing, payload_bytes, print_line
from quantroof.records.lines import Ceiling, Timing


def neighbors(count: int) -> list[tuple[int, int]]:
    """(from, to) round the ring, so that each GPU sends once and receives once."""
    return [(place, (place + 1) % count) for place in range(count)]


def peer_copy(ids: list[str], source: int, target: int) -> Ceiling:
    """From one GPU's memory to another's; torch opens peer access where the driver allows it."""
    begin, end = (_where(ids[place], place) for place in (source, target))
    values = _values(begin)
    timing = _checked_copy(values, torch.empty_like(values, device=end), begin)
    return link_ceiling(ids[source], f"peer_copy/{ids[target]}", "torch.copy_", values.nbytes, timing)


def host_copies(ids: list[str], place: int) -> Iterator[Ceiling]:
    """From pinned host memory to a GPU, and back."""
    device = _where(ids[place], place)
    here = torch.empty_like(_values(device), device="cpu", pin_memory=device.type == "cuda")
    here.random_()
    there = torch.empty_like(here, device=device)
    for name, source, target in (("host_to_device", here, there), ("device_to_host", there, here)):
        timing = _checked_copy(source, target, device)
        yield link_ceiling(ids[place], name, "torch.copy_", here.nbytes, timing)


def _values(device: torch.device) -> torch.Tensor:
    size = payload_bytes(device)
    return torch.randint(-(2**31), 2**31 - 1, (size // 4,), dtype=torch.int32, device=device)


def _checked_copy(source: torch.Tensor, target: torch.Tensor, device: torch.device) -> Timing:
    def call() -> None:
        target.copy_(source, non_blocking=True)

    timing = link_timing(call, device)
    if source.sum(dtype=torch.int64).item() != target.sum(dtype=torch.int64).item():
        raise RuntimeError("the copy differs from its source")
    return timing


def _where(device: str, place: int) -> torch.device:
    return torch.device("cpu") if device.startswith("cpu") else torch.device("cuda", place)


def main() -> None:
    """Measure every copy that is asked for."""
    what, ids = sys.argv[1], sys.argv[2:]
    if what == "host":
        for place in range(len(ids)):
            for line in host_copies(ids, place):
                print_line(line)
        return
    pairs = neighbors(len(ids)) if what == "neighbors" else list(permutations(range(len(ids)), 2))
    for source, target in pairs:
        print_line(peer_copy(ids, source, target))


if __name__ == "__main__":
    main()
