"""Every format at every batch, one model in memory at a time; what does not fit is reported and skipped."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from quantroof.bench.host_heap import give_back, keep_freed_memory
from quantroof.bench.timing.sampling import StoppingRule
from quantroof.quality.decode.models import Loaded, Source, check_formats, in_format
from quantroof.quality.decode.throughput import Throughput, Workload, measure
from quantroof.quality.refusals import OutOfMemory, enough_memory


@dataclass(frozen=True, slots=True)
class TooLarge:
    """A format, or a workload of one (None: none of them), that the memory does not hold."""

    format: str
    batch: int | None
    reason: str = "the memory is too small"
    kind: Literal["too-large"] = "too-large"


def sweep(
    origin: Source, formats: Sequence[str], workloads: Sequence[Workload], rule: StoppingRule, device: str
) -> Iterator[Throughput | TooLarge]:
    """Yield a result for every format and workload, in that order. Names are checked before any is run."""
    check_formats(formats)
    if device == "cpu":
        keep_freed_memory()
    for name in formats:
        loaded = _loaded(origin, name, device)
        if loaded is None:
            yield TooLarge(name, None)
            continue
        for workload in workloads:
            yield _measured(loaded, workload, rule, device)
        del loaded
        _release(device)


def _loaded(origin: Source, name: str, device: str) -> Loaded | None:
    try:
        return in_format(origin, name, device)
    except OutOfMemory:
        pass  # what follows is outside, where the exception no longer keeps the half model alive
    _release(device)
    return None


def _measured(loaded: Loaded, workload: Workload, rule: StoppingRule, device: str) -> Throughput | TooLarge:
    try:
        with enough_memory(f"batch {workload.batch}"):
            return measure(loaded, workload, rule, device)
    except OutOfMemory:
        pass
    _release(device)
    return TooLarge(loaded.format, workload.batch)


def _release(device: str) -> None:
    """Hand what is no longer used back to the device, so that the next model finds room."""
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
    else:
        give_back()
