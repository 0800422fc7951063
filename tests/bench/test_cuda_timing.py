"""CUDA timers on a fake device whose clock advances with the work queued on it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch

from quantroof.bench.timing import cuda_graph, cuda_stream
from quantroof.bench.timing.cuda_graph import GraphReplays, SustainedReplays, replay_calls
from quantroof.bench.timing.cuda_stream import make_room
from quantroof.bench.timing.rotation import Copies

CALL_NS = 10_000.0
COPIES = Copies([(i,) for i in range(4)], 1 << 30, short=False)


class FakeDevice:
    """Keeps a device clock and a log of what was queued and what was waited for."""

    def __init__(self) -> None:
        self.now_ns = 0.0
        self.late = False
        self.call_ns = CALL_NS
        self.log: list[str] = []

    def begin(self) -> None:
        """The probe's hooks go into the log."""
        self.log.append("begin")

    def busy(self) -> None:
        """Read while the batch runs."""
        self.log.append("busy")

    def end(self) -> None:
        """The last call was queued."""
        self.log.append("end")


class FakeEvent:
    """Takes the device's time when it is recorded."""

    def __init__(self, device: FakeDevice) -> None:
        self._device, self._at_ns = device, 0.0

    def record(self) -> None:
        """Queued: the fake device works at once."""
        self._at_ns = self._device.now_ns

    def synchronize(self) -> None:
        """The host waits."""
        self._device.log.append("wait")

    def query(self) -> bool:
        """Whether the device has come here: the fake spin outlasts the queueing, unless a test says not."""
        return self._device.late

    def elapsed_time(self, later: FakeEvent) -> float:
        """Milliseconds, as CUDA gives them."""
        return (later._at_ns - self._at_ns) / 1e6


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> FakeDevice:
    """A device without CUDA: a replay takes CALL_NS for each of its calls."""
    fake = FakeDevice()

    class Graph:
        def __init__(self, calls: int) -> None:
            self.calls = calls

        def replay(self) -> None:
            fake.log.append("replay")
            fake.now_ns += self.calls * fake.call_ns

    def capture(_call: Any, _copies: Any, calls: int, _stream: Any) -> Graph:
        return Graph(calls)

    for name, value in {
        "own_stream": lambda: None,
        "new_event": lambda: FakeEvent(fake),
        "spin": lambda: fake.log.append("spin"),
        "warm_up": lambda *_: CALL_NS,
        "capture": capture,
    }.items():
        monkeypatch.setattr(cuda_graph, name, value)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    return fake


@pytest.mark.parametrize(
    ("estimate_ns", "sets", "calls"),
    [
        (10_000.0, 4, 100),  # 25 turns of 4 calls of 10 us are the first whole turns of a millisecond
        (2_000_000.0, 2, 2),  # a long call still uses both sets
        (100.0, 7, 4095),  # never more than 4096, and always whole turns
    ],
)
def test_a_graph_holds_whole_turns_of_at_least_a_millisecond(
    estimate_ns: float, sets: int, calls: int
) -> None:
    """Every set is read equally often in every sample."""
    assert replay_calls(estimate_ns, sets) == calls


@pytest.mark.parametrize("believed_ns", [CALL_NS, 10 * CALL_NS])
def test_a_replay_lasts_a_millisecond_even_if_launches_fooled_the_estimate(
    device: FakeDevice, monkeypatch: pytest.MonkeyPatch, believed_ns: float
) -> None:
    """A call of 10 us that took the host 100 us to launch would give replays of 0.12 ms, gaps and all."""
    monkeypatch.setattr(cuda_graph, "warm_up", lambda *_: believed_ns)
    timer = GraphReplays(lambda *_: None, COPIES, device)

    assert timer.calls_per_sample == 100


@pytest.mark.parametrize(
    ("call_ns", "sets", "calls", "replays", "copies"),
    [
        (500e6, 12, 2, 1, 2),  # a call of half a second: two weight sets, one replay
        (20.1e6, 12, 2, 1, 2),
        (20e6, 12, 12, 1, 12),  # one replay of all sets lasts longer than a batch may
        (1e6, 12, 12, 4, 12),
        (10_000.0, 4, 100, 8, 4),
    ],
)
def test_a_batch_is_bounded_by_time(
    device: FakeDevice,
    monkeypatch: pytest.MonkeyPatch,
    call_ns: float,
    sets: int,
    calls: int,
    replays: int,
    copies: int,
) -> None:
    """Slow library kernels must not cost a visit: 20 ms a call is the bound, 50 ms that of a batch."""
    monkeypatch.setattr(cuda_graph, "warm_up", lambda *_: call_ns)
    device.call_ns = call_ns
    timer = GraphReplays(lambda *_: None, Copies([(i,) for i in range(sets)], 1 << 30, short=False), device)
    device.log.clear()
    timer.samples()

    assert (timer.calls_per_sample, len(timer.copies.sets)) == (calls, copies)
    assert device.log.count("replay") == replays
    assert timer.batch_s == pytest.approx(calls * replays * call_ns / 1e9)


def test_a_call_of_half_a_second_is_made_a_handful_of_times(
    device: FakeDevice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice in the warm-up, not ten times."""
    runs: list[int] = []

    def call(weights: int) -> None:
        runs.append(weights)
        device.now_ns += 500e6

    class Stream:
        def wait_stream(self, _: object) -> None:
            """Nothing is queued."""

        def synchronize(self) -> None:
            """Nothing is queued."""

    monkeypatch.setattr(cuda_stream, "new_event", lambda: FakeEvent(device))
    monkeypatch.setattr(cuda_stream, "spin", lambda: None)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)
    stream: Any = Stream()
    estimate_ns = cuda_stream.warm_up(call, Copies([(i,) for i in range(12)], 1, short=False), stream)

    assert estimate_ns == pytest.approx(500e6)
    assert runs == [0, 1]


@pytest.mark.parametrize(("late", "flagged"), [(0, False), (1, False), (2, True), (4, True)])
def test_a_host_that_queues_too_slowly_is_flagged(device: FakeDevice, late: int, flagged: bool) -> None:
    """From half of the batches on: fewer do not move a median."""
    timer = GraphReplays(lambda *_: None, COPIES, device)
    for number in range(4):
        device.late = number < late
        timer.samples()

    assert [flag.code for flag in timer.flags()] == (["host_bound"] if flagged else [])


def test_burst_queues_a_batch_behind_a_spin_and_reads_clocks_while_it_runs(device: FakeDevice) -> None:
    """The host waits only after everything is queued, so no launch gap lies between two events."""
    timer = GraphReplays(lambda *_: None, COPIES, device)
    device.log.clear()
    samples = timer.samples()

    assert device.log == ["spin", "begin", *["replay"] * 8, "end", "busy", "wait"]
    assert samples == pytest.approx([CALL_NS] * 8)


def test_sustained_never_lets_the_device_rest(device: FakeDevice) -> None:
    """The next batch is queued before the last one is waited for, and only the first is behind a spin."""
    timer = SustainedReplays(lambda *_: None, COPIES, device)
    device.log.clear()
    first = timer.samples()
    second = timer.samples()

    assert device.log.count("spin") == 0
    assert device.log.index("wait") > 8  # eight replays of the next batch came before it
    assert first + second == pytest.approx([CALL_NS] * 16)


def test_a_call_that_cannot_be_captured_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ending a broken capture fails as well, and its words must not replace the reason."""

    class Graph:
        def capture_begin(self) -> None:
            """Begins."""

        def capture_end(self) -> None:
            """What CUDA says after any error during capture."""
            raise RuntimeError("CUDA error: operation failed due to a previous error during capture")

    def waits(_: Any) -> None:
        raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(cuda_graph, "make_room", lambda: None)
    monkeypatch.setattr(torch.cuda, "stream", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    nowhere: Any = None
    with pytest.raises(cuda_graph.CaptureError, match=r"cannot be .*not permitted .*capturable=False"):
        cuda_graph.capture(waits, COPIES, 4, nowhere)


@pytest.mark.parametrize(("free", "emptied"), [(100, 0), (10, 1)])
def test_room_is_made_for_a_capture_only_where_there_is_little(
    monkeypatch: pytest.MonkeyPatch, free: int, emptied: int
) -> None:
    """Emptying the cache costs every later allocation; a capture without room fails."""
    calls: list[int] = []
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (free, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda: 60)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda: 20)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: calls.append(1))
    make_room()

    assert len(calls) == emptied
