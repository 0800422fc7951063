"""Cold operands: copies of the weights laid out past three times the last-level cache, used in turn."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from quantroof.bench.memory import CACHE_MULTIPLE
from quantroof.errors import QuantroofError

_ALIGN_BYTES = 512  # cudaMalloc aligns to 256; kernels that load 16 bytes per thread need no less here
_MIN_COPIES = 2


@dataclass(frozen=True, slots=True)
class Copies:
    """Weight sets to use in turn. `short` is True where memory did not allow the full rotation."""

    sets: list[tuple[Any, ...]]
    bytes_total: int
    short: bool

    def first(self, count: int) -> Copies:
        """The first sets alone, all of them where they are fewer."""
        kept = self.sets[:count]
        return Copies(kept, self.bytes_total // len(self.sets) * len(kept), self.short)


class Arena:
    """One block of device memory that every case lays its copies out in, so that pages are touched once."""

    def __init__(self, device: torch.device, llc_bytes: int, limit_bytes: int) -> None:
        self._device = device
        self._wanted = CACHE_MULTIPLE * llc_bytes
        self._limit = limit_bytes
        self._block: torch.Tensor | None = None
        # Bytes a set and sets that the block holds: the next batch of a layer often has the same weights. A
        # call that wrote into its operands shows in the first set, because every use begins with it.
        self._filled: tuple[int, int] | None = None

    def copies(self, weights: tuple[Any, ...], *, cold: bool) -> Copies:
        """Clone a weight set often enough to rotate past the cache; a hot measurement keeps the one set.

        Non-tensors and tensors whose memory is not one dense block are shared, not cloned.
        """
        size = sum(_aligned(_dense_bytes(t)) for t in weights)
        if not cold or size == 0:
            return Copies([weights], size, short=False)
        wanted = max(_MIN_COPIES, math.ceil(self._wanted / size))
        count = max(_MIN_COPIES, min(wanted, self._limit // size))
        block = self._block_of(count * size)
        sets = [_views(weights, block, index * size) for index in range(count)]
        if self._filled != (size, count) or not all(map(_same, sets[0], weights)):
            self._filled = None
            for view, tensor in zip(sets[0], weights, strict=True):
                if view is not tensor:
                    view.copy_(tensor)
            _replicate(block, size, count * size)
            self._filled = size, count
        return Copies(sets, count * size, short=count < wanted)

    def release(self) -> None:
        """Give the block back; the next case asks for one of its own size."""
        self._block = self._filled = None

    def _block_of(self, size: int) -> torch.Tensor:
        if self._block is None or self._block.numel() < size:
            self.release()  # give the old block back before asking for a larger one
            try:
                self._block = torch.empty(max(size, self._wanted), dtype=torch.uint8, device=self._device)
            except RuntimeError as error:
                raise QuantroofError(f"out of memory for {size} bytes of rotated weights") from error
        return self._block


def _views(weights: tuple[Any, ...], block: torch.Tensor, offset: int) -> tuple[Any, ...]:
    """A weight set's tensors as views into the block at an offset; what cannot lie there is shared."""
    laid = []
    for tensor in weights:
        size = _dense_bytes(tensor)
        if size == 0:
            laid.append(tensor)
            continue
        flat = block[offset : offset + size].view(tensor.dtype)
        laid.append(flat.as_strided(tensor.shape, tensor.stride()))
        offset += _aligned(size)
    return tuple(laid)


def _same(view: Any, tensor: Any) -> bool:
    """Whether a view holds what a tensor does; NaN differs from itself and is only copied again."""
    if view is tensor:
        return True
    if tensor.element_size() == 1:  # torch does not compare fp8
        view, tensor = view.view(torch.uint8), tensor.view(torch.uint8)
    return torch.equal(view, tensor)


def _replicate(block: torch.Tensor, filled: int, total: int) -> None:
    """Repeat the first `filled` bytes up to `total`, doubling: a few large copies instead of many small."""
    while filled < total:
        step = min(filled, total - filled)
        block[filled : filled + step].copy_(block[:step])
        filled += step


def _dense_bytes(tensor: Any) -> int:
    """Bytes of a tensor that fills one block of memory; 0 for anything else."""
    if not isinstance(tensor, torch.Tensor) or tensor.layout != torch.strided:
        return 0
    extent = sum((n - 1) * s for n, s in zip(tensor.shape, tensor.stride(), strict=True)) + 1
    return tensor.numel() * tensor.element_size() if extent == tensor.numel() else 0


def _aligned(size: int) -> int:
    return -(-size // _ALIGN_BYTES) * _ALIGN_BYTES
