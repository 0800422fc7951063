"""Where a constant of rotation, stopping or memory decides: a case on each side of every limit."""

from __future__ import annotations

import random

import pytest
import torch
from msgspec.structs import replace

from quantroof.bench.memory import need_bytes, shortage
from quantroof.bench.settings import Settings
from quantroof.bench.suite import StoppingLimits
from quantroof.bench.timing import rotation
from quantroof.bench.timing.rotation import Arena
from quantroof.bench.timing.sampling import SETTLE_S, StoppingRule, sample, settle
from quantroof.hwprofiles.types import Processor
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.run import Mode, RunOptions
from tests.bench.test_sampling import FakeTimer, _stopped
from tests.builders import cpu_device


def _rule(samples: int, precision: float = 0.02) -> StoppingRule:
    return StoppingRule(precision=precision, min_samples=samples, max_samples=10_000, seconds=1e9)


def _states(samples: int, length: int) -> list[float]:
    """Two states 0.6 % apart that take turns after `length` samples, with a little noise."""
    draw = random.Random(3)
    return [100 + 0.6 * (i // length % 2) + draw.gauss(0, 0.01) for i in range(samples)]


@pytest.mark.parametrize(
    ("samples", "length", "stops"),
    [(100, 5, True), (80, 5, False), (10, 3, True), (10, 8, False)],
    ids=["worth 10.0", "worth 7.9", "10 worth 5.9", "10 worth 3.6"],
)
def test_samples_must_be_worth_eight_or_half_of_few(samples: int, length: int, *, stops: bool) -> None:
    """Eight independent ones where there are sixteen or more, and half of them where there are fewer."""
    assert (_rule(samples).stopped_by(_states(samples, length), 0.0) == "precision") is stops


@pytest.mark.parametrize(("tick", "reason"), [(1.9, "precision"), (2.1, "max_samples")])
def test_half_a_tick_is_held_against_the_precision(tick: float, reason: str) -> None:
    """One sample in nine is a tick later: a tick of 1.9 % knows the time to 1 %, one of 2.1 % does not."""
    assert _stopped(100.0 + (i % 9 == 4) * tick for i in range(60))[1] == reason


@pytest.mark.parametrize(("drift_percent", "stops"), [(0.7, True), (0.8, False)])
def test_the_last_third_may_be_half_the_precision_above_the_first(
    drift_percent: float, *, stops: bool
) -> None:
    """A clear trend over 96 samples about two values: two thirds of 0.7 % are borne at 1 %, of 0.8 % not."""
    samples = [100 * (1 + drift_percent / 100 * i / 95 + 0.004 * (-1) ** i) for i in range(96)]

    assert (_rule(96, 0.01).stopped_by(samples, 0.0) == "precision") is stops


def test_the_first_looks_are_a_sample_apart() -> None:
    """A quarter of three samples rounds to none: so it looks after each until growth takes over."""
    samples = [100.0, 100.4, 100.2, 99.9, 100.3, 100.1, 99.8, 100.25, 100.05, 99.95]
    looked = [n for n in range(3, 11) if _rule(3, 0.5).stopped_by(samples[:n], 0.0)]

    assert all(_rule(n, 0.5).stopped_by(samples[:n], 0.0) for n in range(3, 11))
    assert looked == [3, 4, 5, 7, 8, 10]


class _Blocks:
    """A timer whose samples advance the clock by 1/16 s."""

    batch_s = 0.01

    def __init__(self) -> None:
        self.now_s = 0.0

    def samples(self) -> list[float]:
        self.now_s += 1 / 16
        return [1.0]


@pytest.mark.parametrize(
    ("processor", "mode", "ran_s"),
    [("gpu", "burst", 1 / 16), ("gpu", "sustained", 3.0), ("cpu", "burst", 0.0), ("cpu", "sustained", 1.0)],
)
def test_a_device_settles_as_long_as_its_clock_takes(processor: Processor, mode: Mode, ran_s: float) -> None:
    """A GPU leaves its lowest clock within 50 ms, and its power settles in 3 s; a CPU's within one."""
    timer = _Blocks()
    settle(timer, SETTLE_S[processor][mode], lambda: timer.now_s)  # type: ignore[arg-type]

    assert timer.now_s == ran_s


def test_sampling_ends_by_the_time_since_it_began() -> None:
    """The clock of a machine has run for 100 s before: half a second of a second's limit is not its end."""
    now = iter([100.0, 100.5, 101.0])
    rule = StoppingRule(precision=None, min_samples=3, max_samples=50, seconds=1.0)

    assert sample(FakeTimer(iter([5.0, 6.0, 7.0])), rule, clock_s=lambda: next(now)) == ((5.0, 6.0), "wall")


@pytest.mark.parametrize(("share", "fits"), [(0.79, True), (0.81, False)])
def test_a_case_may_take_four_fifths_of_the_memory_of_a_cpu(share: float, *, fits: bool) -> None:
    """The rest is for the library's own workspaces; a machine's whole memory may be less than is free."""
    case = Case.linear(SCHEMES["bf16"], 1, 64, 64)
    small = replace(cpu_device(), llc_bytes=None)
    device = replace(small, memory_bytes=int(need_bytes(case, small) / share))

    assert (shortage(case, device) is None) is fits


@pytest.mark.parametrize(
    ("values", "again"),
    [
        (torch.tensor([1.0, float("nan")] * 32).to(torch.float8_e4m3fn), 0),
        (torch.arange(64.0).reshape(8, 8).t(), 0),
        (torch.tensor([1.0, float("nan")] * 32), 1),
    ],
    ids=["fp8 by its bytes", "transposed", "NaN differs from itself"],
)
def test_weights_that_come_again_are_recognized(
    monkeypatch: pytest.MonkeyPatch, values: torch.Tensor, again: int
) -> None:
    """The next batch of a layer does not lay out its weights anew, in any format and any order of memory."""
    arena = Arena(torch.device("cpu"), 4096, 1 << 20)
    arena.copies((values,), cold=True)
    copied: list[int] = []
    monkeypatch.setattr(rotation, "_replicate", lambda *_: copied.append(1))
    arena.copies((values.clone(memory_format=torch.preserve_format),), cold=True)

    assert len(copied) == again


def test_settings_that_are_not_named_are_those_of_a_run_without_options() -> None:
    """A worker that is told the limits alone measures as `quantroof run` does."""
    limits = StoppingLimits()
    own = Settings(
        precision=limits.precision,
        min_samples=limits.min_samples,
        max_samples=limits.max_samples,
        seconds_per_case=limits.seconds_per_case,
    )

    assert own == Settings.resolve(limits, RunOptions())
