"""The slow side of healthy GPUs by hand: which formula holds for how many GPUs, and how heavy a tail is."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest

from quantroof.analysis.distributions import MAX_FREEDOM, Array, t_quantile, t_tail
from quantroof.fleet.slow_side import SlowSide, few_alike, slow_side

PRIOR = 0.02
HALF_OF_A_NORMAL = math.sqrt((0.45 - 1.6449 * 0.10314) / 0.45)
"""Root mean square of normal values between their median and their 95 % quantile."""


def _widened(own: float, gpus: int) -> float:
    """The spread of so many GPUs, drawn towards the prior's six degrees and widened for their median."""
    variance = (6 * PRIOR**2 + (gpus - 1) * own**2) / (6 + gpus - 1)
    return math.sqrt(variance * (1 + math.pi / 2 / gpus))


def _as_t(freedom: int, gpus: int) -> Array:
    """The slow half of `gpus` levels of Student's t, each at its own quantile."""
    tails, x = (np.arange(gpus // 2) + 0.5) / gpus, np.linspace(0, 30, 3001)
    return np.asarray(np.interp(tails, t_tail(x, freedom)[::-1], x[::-1]))


def test_a_level_has_the_share_of_the_tail_beyond_it() -> None:
    """4 % slower at a spread of 2 % is two spreads; the limit of that share is the level again."""
    side = SlowSide(PRIOR, 5)
    share = float(side.tail(np.array([0.04]))[0])

    assert share == pytest.approx(0.05097, abs=1e-5)
    assert side.limit(share) == pytest.approx(0.04)


@pytest.mark.parametrize(("assumed", "share"), [(True, 0.01), (False, 0.01 / 8)])
def test_one_of_eight_is_found_by_chance_where_the_tail_is_known(assumed: bool, share: float) -> None:
    """Each of eight gets an eighth of the share; an assumed tail is heavy enough for all of them."""
    assert SlowSide(PRIOR, 5, assumed).limit_among(0.01, 8) == pytest.approx(t_quantile(share, 5) * PRIOR)


def test_a_tail_is_learned_unless_it_is_said_to_be_assumed() -> None:
    """A slow side without a word about it gives each of eight GPUs its eighth."""
    assert SlowSide(PRIOR, 5).limit_among(0.01, 8) == SlowSide(PRIOR, 5, assumed=False).limit_among(0.01, 8)
    assert SlowSide(PRIOR, 5).limit_among(0.01, 8) > SlowSide(PRIOR, 5, assumed=True).limit_among(0.01, 8)


@pytest.mark.parametrize("gpus", [1, 4])
def test_few_gpus_are_taken_to_spread_as_usual(gpus: int) -> None:
    """The spread that is usual, wider by what the median of so few is unsure of."""
    side = few_alike(PRIOR, gpus)

    assert (side.freedom, side.assumed) == (5, True)
    assert side.spread == pytest.approx(PRIOR * math.sqrt(1 + math.pi / 2 / gpus))


@pytest.mark.parametrize("gpus", [0, 1])
def test_one_gpu_spreads_as_usual(gpus: int) -> None:
    """Nothing is learned from it: the prior, widened for the median of one."""
    side = slow_side(np.zeros(gpus), PRIOR)

    assert (side.freedom, side.assumed) == (5, True)
    assert side.spread == pytest.approx(PRIOR * math.sqrt(1 + math.pi / 2))


@pytest.mark.parametrize("gpus", [2, 31])
def test_a_few_gpus_spread_by_their_quartiles(gpus: int) -> None:
    """Below 32 the interquartile range holds, whatever the slowest does."""
    levels = np.linspace(-0.03, 0.03, gpus)
    side = slow_side(levels, PRIOR)
    own = (np.quantile(levels, 0.75) - np.quantile(levels, 0.25)) / 1.349

    assert (side.freedom, side.assumed) == (5, True)
    assert side.spread == pytest.approx(_widened(own, gpus))


@pytest.mark.parametrize("gpus", [32, 33, 127])
def test_a_rack_of_gpus_spreads_by_its_slow_half(gpus: int) -> None:
    """From 32 on the fast half counts for nothing: the root mean square between median and 95 % holds."""
    levels = np.concatenate(
        [np.full(gpus // 2, -0.5), [0.0] * (gpus % 2), np.linspace(0.01, 0.05, gpus // 2)]
    )
    deviation = levels - np.median(levels)
    slow = deviation[(deviation > 0) & (deviation <= np.quantile(deviation, 0.95))]
    side = slow_side(levels, PRIOR)

    assert (side.freedom, side.assumed) == (5, True)
    own = math.sqrt(float(np.mean(slow**2))) / HALF_OF_A_NORMAL
    assert side.spread == pytest.approx(_widened(own, gpus), rel=5e-3)


@pytest.mark.parametrize(("lighter", "taken"), [(MAX_FREEDOM, MAX_FREEDOM), (6, 5)])
def test_a_fleet_has_the_spread_of_its_slow_half(lighter: int, taken: int) -> None:
    """Of 4,096 levels, normal or midway between t(5) and t(6), over that of the distribution they get."""
    slow = 0.03 * (_as_t(taken, 4096) + _as_t(lighter, 4096)) / 2
    side = slow_side(np.concatenate([-slow, slow]), PRIOR)
    trimmed = slow[slow <= np.quantile(np.concatenate([-slow, slow]), 0.95)]
    half = math.sqrt(float(np.mean(trimmed**2)))
    usual = math.sqrt(float(np.mean(_trimmed(taken) ** 2)))

    assert (side.freedom, side.assumed) == (taken, False)
    assert side.spread == pytest.approx(_widened(half / usual, 4096), rel=2e-3)


def _trimmed(freedom: int) -> Array:
    """The slow half below its 95 % quantile, of many levels of Student's t."""
    slow = _as_t(freedom, 100_000)
    return np.asarray(slow[slow <= t_quantile(0.05, freedom)])


@pytest.mark.parametrize("gpus", [32, 128])
def test_gpus_that_all_agree_keep_the_part_of_the_prior(gpus: int) -> None:
    """Equal GPUs show no spread, so the spread comes from the prior alone, widened for their number."""
    side = slow_side(np.full(gpus, 0.25), PRIOR)

    assert side.spread == pytest.approx(_widened(0.0, gpus), rel=1e-3)


@pytest.mark.parametrize(
    ("heavier", "lighter"), [*pairwise((3, 4, 5, 6, 7, 8, 10, 12, 15, 20)), (20, MAX_FREEDOM), (2, 3)]
)
def test_a_tail_between_two_that_are_told_apart_is_the_heavier(heavier: int, lighter: int) -> None:
    """Levels midway between two distributions, of more GPUs than any fleet has; none is taken below t(3)."""
    slow = (_as_t(heavier, 200_000) + _as_t(lighter, 200_000)) / 2

    assert slow_side(np.concatenate([-slow, slow]), 1.0).freedom == max(heavier, 3)


@pytest.mark.parametrize(("gpus", "heavy"), [(380, False), (600, True)])
def test_a_tail_must_be_heavier_than_the_error_of_so_many_gpus(gpus: int, *, heavy: bool) -> None:
    """Three errors: of t(4) it takes 416 GPUs to be told from normal ones."""
    slow = _as_t(4, gpus)

    assert (slow_side(np.concatenate([-slow, slow]), 1.0).freedom < MAX_FREEDOM) is heavy
