"""Wall time and peak memory of one piece of work."""

from __future__ import annotations

import threading
import time
from types import TracebackType

import psutil
import torch

_EVERY_S = 0.01


class Peak:
    """Context manager: `seconds` it took, and `bytes` of memory it needed at most beyond the start.

    On a GPU that is the allocator's peak, on the CPU the resident memory sampled a hundred times a second.
    """

    def __init__(self, device: str = "cpu") -> None:
        self.seconds = 0.0
        self.bytes = 0
        self._on_gpu = device.startswith("cuda")
        self._stop = threading.Event()
        self._process = psutil.Process()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Peak:
        if self._on_gpu:
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            self._before = self._process.memory_info().rss
            self._sampler.start()
        self._start = time.perf_counter()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()
            self.bytes = torch.cuda.max_memory_allocated() - self._before
        else:
            self._stop.set()
            self._sampler.join()
        self.seconds = time.perf_counter() - self._start

    def _sample(self) -> None:
        while not self._stop.wait(_EVERY_S):
            self.bytes = max(self.bytes, self._process.memory_info().rss - self._before)
