"""The copies of a rotation: what is copied, what is shared, and when sampling settles and stops."""

from __future__ import annotations

import random

import pytest
import torch

from quantroof.bench.timing.rotation import Arena, Copies
from quantroof.bench.timing.sampling import StoppingRule, settle

CPU = torch.device("cpu")


def _arena(cache: int = 4096) -> Arena:
    return Arena(CPU, cache, 1 << 20)


def test_each_tensor_of_a_set_keeps_its_values_in_every_copy() -> None:
    """Two tensors of odd sizes lie one after the other; the last copy holds what the first does."""
    first, second = torch.arange(33, dtype=torch.float32), torch.arange(700, dtype=torch.int16)
    copies = _arena().copies((first, second), cold=True)

    assert len(copies.sets) == 6
    for one, other in copies.sets:
        assert torch.equal(one, first)
        assert torch.equal(other, second)


def test_one_byte_is_a_set_and_nothing_is_none() -> None:
    """A tensor of a single byte is rotated; a set without a dense tensor is measured as it is."""
    single = _arena().copies((torch.ones(1, dtype=torch.uint8),), cold=True)
    assert len(single.sets) == 3 * 4096 // 512
    sparse = torch.ones(4, 4)[:, ::2]
    assert _arena().copies((sparse, 3), cold=True) == Copies([(sparse, 3)], 0, short=False)


def test_a_shared_value_beside_weights_does_not_lay_them_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """An argument that is not a tensor is the same in every set: equal weights are recognized beside it."""
    arena, weights = _arena(), torch.arange(64, dtype=torch.float32)
    arena.copies((weights, "fp8"), cold=True)
    copied: list[int] = []
    monkeypatch.setattr("quantroof.bench.timing.rotation._replicate", lambda *_: copied.append(1))
    arena.copies((weights.clone(), "fp8"), cold=True)

    assert copied == []


def test_the_first_copies_have_their_share_of_the_bytes() -> None:
    """Two of four sets of 100 bytes are 200 bytes; four of four, or five, are all of them."""
    copies = Copies([(0,), (1,), (2,), (3,)], 400, short=False)

    assert copies.first(2) == Copies([(0,), (1,)], 200, short=False)
    assert copies.first(4) == copies.first(5) == copies


class _Blocks:
    """A timer whose samples advance the clock by a second."""

    def __init__(self, batch_s: float) -> None:
        self.batch_s, self.now_s = batch_s, 0.0

    def samples(self) -> list[float]:
        self.now_s += 1.0
        return [1.0]


@pytest.mark.parametrize(
    ("batch_s", "seconds", "ran_s"), [(0.5, 3.0, 3.0), (2.9, 3.0, 3.0), (3.0, 3.0, 0.0), (0.5, 0.0, 0.0)]
)
def test_a_call_shorter_than_the_settling_time_runs_until_it_is_over(
    batch_s: float, seconds: float, ran_s: float
) -> None:
    """A longer one has settled the device by its warm-up; a burst on a CPU settles nothing. The clock of a
    machine has run for 100 s before."""
    timer = _Blocks(batch_s)
    settle(timer, seconds, lambda: 100.0 + timer.now_s)  # type: ignore[arg-type]

    assert timer.now_s == ran_s


@pytest.mark.parametrize(("half_percent", "reason"), [(0.9, "precision"), (1.1, None)])
def test_half_of_the_interval_is_held_against_the_precision(half_percent: float, reason: str | None) -> None:
    """Two values in turn, so the interval goes from one to the other: 0.9 % stops at 1 %, 1.1 % not."""
    rule = StoppingRule(precision=0.01, min_samples=40, max_samples=1000, seconds=1e9)
    low, high = 1000 * (1 - half_percent / 100), 1000 * (1 + half_percent / 100)
    samples = [low, high, high, low] * 10
    jitter = [value + 1e-3 * ((7 * i) % 40) for i, value in enumerate(samples)]

    assert rule.stopped_by(jitter, 0.0) == reason


@pytest.mark.parametrize(("seed", "reason"), [(243, "precision"), (1, None), (12, None)])
def test_a_trend_of_two_standard_errors_is_waited_for(seed: int, reason: str | None) -> None:
    """The last third is more than half a percent above the first: 1.9 errors may be chance."""
    draw = random.Random(seed)
    samples = [1000 * (1 + draw.gauss(0, 0.016) + 0.012 * (i / 40 - 0.5)) for i in range(40)]
    rule = StoppingRule(precision=0.01, min_samples=40, max_samples=1000, seconds=1e9)

    assert rule.stopped_by(samples, 0.0) == reason
