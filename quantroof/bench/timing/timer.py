"""The interface of every timer, and the hooks that read the device's state around a batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from quantroof.records.lines import Flag, Method

if TYPE_CHECKING:
    from quantroof.bench.timing.rotation import Copies

Call = Callable[..., Any]
Refresh = Callable[[tuple[Any, ...]], None]
"""Writes other values into a weight set in place."""


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
    copies: Copies
    """The weight sets in use: all that were laid out, or two where one call takes long."""
    batch_s: float
    """About how long `samples` takes, in seconds."""

    def samples(self) -> list[float]:
        """Time the next block or blocks: nanoseconds per call of each."""
        ...

    def output(self, refresh: Refresh) -> Any:
        """Run once as in a sample; what a call returned for the set that `refresh` had written into."""
        ...

    def finish(self) -> None:
        """Wait for what is still queued, so that the next case starts on an idle device."""

    def flags(self) -> tuple[Flag, ...]:
        """Flags for problems with its samples that the timer itself noticed."""
        ...


class NoProbe:
    """Hooks that do nothing, for a device whose state is read in another way."""

    def begin(self) -> None:
        """Nothing to do."""

    def busy(self) -> None:
        """Nothing to read."""

    def end(self) -> None:
        """Nothing to do."""
