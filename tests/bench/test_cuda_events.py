"""Eager and queued timing on a stand-in for CUDA: what lies within a sample, and what is flagged."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import pytest
import torch

from quantroof.bench.timing import cuda_events
from quantroof.bench.timing.cuda_events import EagerCalls, QueuedCalls
from quantroof.bench.timing.cuda_stream import spin_cycles
from quantroof.bench.timing.rotation import Copies
from quantroof.bench.timing.timer import NoProbe

COPIES = Copies([(0,), (1,)], 1, short=False)


class SlowReading(NoProbe):
    """A probe whose reading of NVML takes 30 ms."""

    def busy(self) -> None:
        """Read."""
        time.sleep(0.03)


class Event:
    """An event of a device whose spin has ended, or not."""

    passed = False

    def record(self) -> None:
        """Recorded."""

    def query(self) -> bool:
        """Whether the device has come here."""
        return self.passed


@pytest.fixture
def spins(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """No CUDA: calls take their time on the host, spins are listed."""
    cycles: list[int] = []
    for name, value in {
        "own_stream": lambda: None,
        "new_event": Event,
        "spin": lambda cycle_count=0: cycles.append(cycle_count),
        "warm_up": lambda *_: 100_000.0,
        "nanoseconds": lambda _events, _calls: [1.0],
    }.items():
        monkeypatch.setattr(cuda_events, name, value)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    return cycles


def test_reading_nvml_is_not_within_an_eager_sample(spins: list[int]) -> None:
    """100 calls of nothing take far less than the 30 ms of one reading."""
    timer = EagerCalls(lambda _: None, COPIES, SlowReading())
    (per_call,) = timer.samples()

    assert per_call * timer.calls_per_sample < 15e6


@pytest.mark.parametrize(("call_ns", "calls"), [(1e6, 10), (10e6, 5), (500e6, 1)])
def test_eager_blocks_are_bounded_by_time(
    spins: list[int], monkeypatch: pytest.MonkeyPatch, call_ns: float, calls: int
) -> None:
    """Ten calls at least, unless they take longer than 50 ms."""
    monkeypatch.setattr(cuda_events, "warm_up", lambda *_: call_ns)

    assert EagerCalls(lambda _: None, COPIES, NoProbe()).calls_per_sample == calls


def test_the_spin_outlasts_the_queueing(spins: list[int]) -> None:
    """Calls that take the host 1 ms each to launch need a spin of more than 10 ms for a block of ten."""
    timer = QueuedCalls(lambda _: time.sleep(0.001), COPIES, NoProbe())
    timer.samples()

    assert timer.calls_per_sample == 10
    assert spins[-1] / 3.0 >= 10e6


@pytest.mark.parametrize(("host_ns", "cycles"), [(0.0, 2_000_000), (2e6, 9_000_000), (1e9, 60_000_000)])
def test_a_spin_is_a_millisecond_at_least_and_twenty_at_most(host_ns: float, cycles: int) -> None:
    """One and a half times what the host needs, at 3 GHz."""
    assert spin_cycles(host_ns) == cycles


@pytest.mark.parametrize("passed", [False, True])
def test_queueing_slower_than_the_device_is_flagged(
    spins: list[int], monkeypatch: pytest.MonkeyPatch, passed: bool
) -> None:
    """The event behind the spin has passed before the host was done: launch gaps are in the sample."""
    monkeypatch.setattr(Event, "passed", passed)
    timer: Any = QueuedCalls(lambda _: None, COPIES, NoProbe())
    timer.samples()

    assert [flag.code for flag in timer.flags()] == (["host_bound"] if passed else [])
