"""Stopping, sampling, rotation and timers, with a fake clock where time matters."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count, pairwise, repeat
from typing import Any

import pytest
import torch

from quantroof.bench.settings import Settings
from quantroof.bench.suite import StoppingLimits
from quantroof.bench.timing import cpu, rotation
from quantroof.bench.timing.cpu import CpuBlocks
from quantroof.bench.timing.rotation import Arena, Copies
from quantroof.bench.timing.sampling import StoppingRule, sample
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.problem import Problem, forget_weights
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.lines import Flag, Method
from quantroof.records.run import RunOptions

RULE = StoppingRule(precision=0.01, min_samples=10, max_samples=50, seconds=1.0)


class FakeTimer:
    """Hands out prepared samples; the clock that goes with it advances a fixed step per question."""

    method: Method = "cpu-blocks"
    calls_per_sample = 1
    copies = Copies([()], 0, short=False)
    batch_s = 0.0

    def __init__(self, values: Iterator[float]) -> None:
        self._values = values

    def samples(self) -> list[float]:
        """The next one."""
        return [next(self._values)]

    def finish(self) -> None:
        """Nothing is queued."""

    def output(self, _: object) -> None:
        """No output."""

    def flags(self) -> tuple[Flag, ...]:
        """Nothing was noticed."""
        return ()


def _ticking(step_s: float) -> Iterator[float]:
    return (step_s * i for i in count())


def _stopped(values: Iterator[float]) -> tuple[int, str]:
    """The number of samples and why sampling ended, with time to spare."""
    samples, why = sample(FakeTimer(values), RULE, clock_s=lambda: 0.0)
    return len(samples), why


def _noise(seed: int, spread: float = 0.002) -> Iterator[float]:
    source = random.Random(seed)
    return (source.gauss(0.0, spread) for _ in count())


def test_steady_samples_stop_at_the_minimum() -> None:
    """Independent samples with a spread of 0.2 % are precise to 1 % as soon as there are enough of them."""
    assert _stopped(100 * (1 + e) for e in _noise(5)) == (10, "precision")


def test_samples_that_all_tie_do_not_stop_for_precision() -> None:
    """Equal samples show nothing of the clock's tick; two values 0.5 % apart show one that is fine enough."""
    assert _stopped(repeat(100.0)) == (50, "max_samples")
    assert _stopped(100.0 + (i % 3 == 0) * 0.5 for i in count()) == (10, "precision")


def test_ticks_coarser_than_the_precision_do_not_stop() -> None:
    """One sample in nine is a tick of 4 % later: the ranks agree, and the time is known to 2 % only."""
    assert _stopped(100.0 + (i % 9 == 4) * 4.0 for i in count()) == (50, "max_samples")
    assert _stopped(100.0 + (i % 9 == 4) * 1.5 for i in count()) == (10, "precision")


@pytest.mark.parametrize(("drift", "stops"), [(0.0, True), (0.010, False)])
def test_a_trend_does_not_stop(drift: float, stops: bool) -> None:
    """Twenty samples with noise of 0.4 % are precise to 1 %; with a drift of 1 % they are not yet."""
    noise = [e for _, e in zip(range(20), _noise(5, 0.004), strict=False)]
    samples = [100 * (1 + drift * i / 19 + e) for i, e in enumerate(noise)]
    rule = StoppingRule(precision=0.01, min_samples=20, max_samples=50, seconds=1.0)

    assert (rule.stopped_by(samples, 0.0) == "precision") is stops


@pytest.mark.parametrize(("first", "stops"), [([4, 3], True), ([3, 4], False)])
def test_a_trend_beyond_95_percent_does_not_stop(first: list[int], stops: bool) -> None:
    """Sixteen samples, from rank to rank 0.2 % apart: Spearman's z is sqrt(15) (1 - D / 680), where D is the
    sum of squares of rank minus place. D = 336 gives 1.959 and may be chance; D = 334 gives 1.971."""
    ranks = [*first, 8, 0, 10, 1, 12, 11, 5, 2, 14, 9, 7, 13, 6, 15]
    rule = StoppingRule(precision=0.01, min_samples=16, max_samples=50, seconds=1.0)

    assert sum((rank - place) ** 2 for place, rank in enumerate(ranks)) == (336 if stops else 334)
    assert (rule.stopped_by([100 + 0.2 * rank for rank in ranks], 0.0) == "precision") is stops


def test_strongly_correlated_samples_do_not_stop() -> None:
    """States 0.6 % apart that last 5 samples: ten samples are worth two or three, and go on."""
    states = (100.0 + 0.6 * (i // 5 % 2) + e for i, e in enumerate(_noise(3, 0.01)))

    assert _stopped(states)[0] > 30


def test_the_precision_is_looked_at_seldom() -> None:
    """After 10 samples, then after a quarter more each time: at 13, not at 11; a batch may pass one."""
    precise = [100 * (1 + e) for _, e in zip(range(99), _noise(5), strict=False)]

    assert [n for n in range(10, 21) if RULE.stopped_by(precise[:n], 0.0)] == [10, 13, 16, 20]
    assert RULE.stopped_by(precise[:15], 0.0, new=8) == "precision"
    assert RULE.stopped_by(precise[:15], 0.0, new=2) is None


def test_noisy_samples_stop_at_the_wall() -> None:
    """Samples that never agree end when the time is up, and all of them are kept."""
    clock = _ticking(0.1)
    noisy = (100.0 if i % 2 else 200.0 for i in count())
    samples, why = sample(FakeTimer(noisy), RULE, clock_s=lambda: next(clock))

    assert why == "wall"
    assert samples == tuple(100.0 if i % 2 else 200.0 for i in range(10))


def test_noisy_samples_stop_at_the_maximum() -> None:
    """With time left, the sample limit ends it."""
    noisy = (100.0 + 37 * i % 50 for i in count())
    samples, why = sample(FakeTimer(noisy), RULE, clock_s=lambda: 0.0)

    assert (len(samples), why) == (50, "max_samples")


def test_wall_holds_before_the_minimum() -> None:
    """A case so slow that the minimum cannot be reached ends all the same."""
    clock = _ticking(2.0)
    samples, why = sample(FakeTimer(iter([1e9] * 9)), RULE, clock_s=lambda: next(clock))

    assert (len(samples), why) == (1, "wall")


def _settings(**changes: Any) -> Settings:
    return Settings.resolve(StoppingLimits(precision=0.01, seconds_per_case=0.5), RunOptions(**changes))


def test_sustained_lasts_three_seconds_with_tied_samples() -> None:
    """A clock with coarse ticks gives equal samples: precise at once, but sustained goes on for 3 s."""
    clock = _ticking(0.001)
    tied = FakeTimer(repeat(1e6))
    samples, why = sample(tied, _settings(mode="sustained").rule(), clock_s=lambda: next(clock))

    assert (len(samples), why) == (3000, "wall")


@pytest.mark.parametrize(("asked_s", "lasts_s"), [(None, 3.0), (2.0, 3.0), (5.0, 5.0)])
def test_sustained_lasts_as_long_as_asked_and_never_under_three_seconds(
    asked_s: float | None, lasts_s: float
) -> None:
    """The suite's 0.5 s and a shorter wish become 3 s; a longer one stays."""
    rule = _settings(mode="sustained", seconds_per_case=asked_s).rule()

    assert (rule.precision, rule.seconds) == (None, lasts_s)


def test_a_burst_stops_by_its_precision_within_its_limit() -> None:
    """Burst keeps the suite's precision and seconds."""
    rule = _settings().rule()

    assert (rule.precision, rule.seconds) == (0.01, 0.5)


def _arena(llc_bytes: int, limit_bytes: int = 1 << 30) -> Arena:
    return Arena(torch.device("cpu"), llc_bytes, limit_bytes)


def test_cold_copies_rotate_past_three_times_the_cache() -> None:
    """The copies are equal, distinct in memory, and fill at least 3x the last-level cache."""
    weights = (torch.randn(64, 128), torch.arange(64.0))
    copies = _arena(llc_bytes=1 << 20).copies(weights, cold=True)

    assert copies.bytes_total >= 3 << 20
    assert not copies.short
    assert len({s[0].data_ptr() for s in copies.sets}) == len(copies.sets)
    for w, s in copies.sets:
        assert torch.equal(w, weights[0])
        assert torch.equal(s, weights[1])


def test_equal_weights_are_not_laid_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next batch of a layer finds its copies in place; other weights, or written ones, are laid out."""
    filled: list[int] = []
    real = rotation._replicate

    def replicate(block: torch.Tensor, size: int, total: int) -> None:
        filled.append(total)
        real(block, size, total)

    monkeypatch.setattr(rotation, "_replicate", replicate)
    arena, weights = _arena(llc_bytes=1 << 20), (torch.randn(64, 128), torch.arange(64, dtype=torch.int8))
    arena.copies(weights, cold=True)
    again = arena.copies(tuple(w.clone() for w in weights), cold=True)
    assert len(filled) == 1

    again.sets[0][0].zero_()  # a stream's write, say: every use begins with the first set
    assert all(torch.equal(s[0], weights[0]) for s in arena.copies(weights, cold=True).sets)
    assert len(filled) == 2
    other = (torch.randn(64, 128), weights[1])
    assert all(torch.equal(s[0], other[0]) for s in arena.copies(other, cold=True).sets)
    arena.release()
    assert all(torch.equal(s[0], other[0]) for s in arena.copies(other, cold=True).sets)
    assert len(filled) == 4


def test_batches_of_a_layer_share_their_weights() -> None:
    """Same seed, format and shape: the very tensor, whatever M; another seed or format has its own."""
    device = Device(kind="cpu", index=0, name="test CPU")
    one, two = (Problem(Case.linear(SCHEMES["bf16"], m, 64, 32), device) for m in (1, 8))
    assert one.weight is two.weight
    assert not torch.equal(Problem(one.case, device, seed=1).weight.codes, one.weight.codes)
    assert Problem(Case.linear(SCHEMES["int4-w4a16"], 1, 64, 128), device).weight.codes.dtype == torch.int8
    forget_weights()
    fresh = Problem(one.case, device).weight
    assert fresh is not one.weight
    assert torch.equal(fresh.codes, one.weight.codes)


def test_every_copy_starts_where_the_allocator_would_put_it() -> None:
    """Kernels choose a path by alignment: each tensor of each set lies on a multiple of 512 bytes."""
    weights = (torch.zeros(33, dtype=torch.int8), torch.zeros(65, dtype=torch.int8))
    copies = _arena(llc_bytes=1 << 12).copies(weights, cold=True)
    base = copies.sets[0][0].data_ptr()

    assert len(copies.sets) > 1
    assert {(tensor.data_ptr() - base) % 512 for one_set in copies.sets for tensor in one_set} == {0}


def test_large_weights_still_get_two_copies() -> None:
    """Weights larger than the whole rotation are used in turn all the same."""
    copies = _arena(llc_bytes=1024).copies((torch.zeros(1 << 16),), cold=True)

    assert len(copies.sets) == 2


def test_little_memory_shortens_the_rotation_and_says_so() -> None:
    """The record must know that a measurement was not as cold as it should be."""
    copies = _arena(llc_bytes=1 << 20, limit_bytes=1 << 20).copies((torch.zeros(1 << 16),), cold=True)

    assert copies.short
    assert copies.bytes_total <= 1 << 20


def test_strides_survive_the_rotation() -> None:
    """A transposed weight stays transposed: kernels choose their path by strides."""
    weight = torch.randn(32, 48).t()
    copies = _arena(llc_bytes=1 << 16).copies((weight,), cold=True)

    assert copies.sets[1][0].stride() == weight.stride()
    assert torch.equal(copies.sets[1][0], weight)


def test_hot_uses_the_one_set() -> None:
    """Hot means the same weights at every call."""
    weights = (torch.zeros(16),)

    assert _arena(1 << 20).copies(weights, cold=False).sets == [weights]


def test_cpu_blocks_last_ten_milliseconds_and_divide_by_their_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of 1 ms, by the clock of this test, is timed in blocks of ten or more and read as 1 ms."""
    now_ns = [0]

    def call() -> None:
        now_ns[0] += 1_000_000

    monkeypatch.setattr(cpu, "now_ns", lambda: now_ns[0])
    timer = CpuBlocks(call, Copies([()], 0, short=False))

    assert timer.calls_per_sample >= 10
    assert timer.samples() == [1_000_000.0]


def test_cpu_blocks_use_the_copies_in_turn() -> None:
    """Every weight set is used as often as the others."""
    seen: list[int] = []
    copies = Copies([(0,), (1,), (2,)], 0, short=False)
    CpuBlocks(seen.append, copies, block_ns=1)

    assert seen[:3] == [0, 1, 2][: len(seen)]
    assert all(b == (a + 1) % 3 for a, b in pairwise(seen))
