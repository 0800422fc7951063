"""The interface of every timer, and the hooks that read the device's state around a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from quantroof.records.lines import Method

Call = Callable[..., Any]


class Probe(Protocol):
    """Hooks around a timed batch. `begin` and `end` may enqueue work on the current stream."""

    def begin(self) -> None:
        """The batch is about to be queued."""

    def busy(self) -> None:
        """The batch is queued and the device is working on it: the moment to read clocks."""

    def end(self) -> None:
        """The last call of the batch was queued."""


class Timer(Protocol):
    """Times blocks of calls; each block uses the next weight sets in turn."""

    method: Method
    calls_per_sample: int

    def samples(self) -> list[float]:
        """Time the next block or blocks: nanoseconds per call of each."""
        ...

    def finish(self) -> None:
        """Wait for what is still queued, so that the next case starts on an idle device."""


class NoProbe:
    """Hooks that do nothing, for a device whose state is read in another way."""

    def begin(self) -> None:
        """Nothing to do."""

    def busy(self) -> None:
        """Nothing to read."""

    def end(self) -> None:
        """Nothing to do."""
