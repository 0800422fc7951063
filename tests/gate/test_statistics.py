"""Where a refinement of the gate's arithmetic decides: each example gets the other verdict without it."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import msgspec
import numpy as np
import pytest

from quantroof.analysis.roofs import best_roof_shares, measured_roofs
from quantroof.errors import UsageError
from quantroof.gate.band import Bands
from quantroof.gate.baseline import Baseline
from quantroof.gate.change_points import change_points
from quantroof.gate.confirm import LAST_RATE, confirmed, paired, screen, suspects
from quantroof.gate.contract import contract_of, machine_breaches
from quantroof.gate.criteria import Criteria
from quantroof.gate.floors import apply_floors
from quantroof.gate.judge import screen_run
from quantroof.gate.learning import MAY_MOVE, anchor_limit
from quantroof.gate.policy import Policy, Waiver
from quantroof.gate.sides import Side
from quantroof.gate.verdicts import counts
from quantroof.records.directory import Run
from tests.gate import made


@pytest.mark.parametrize(("change", "suspected"), [(0.023, False), (0.025, True)])
def test_a_band_of_five_runs_is_wider_than_its_spread(change: float, suspected: bool) -> None:
    """With a spread of 2 % from five runs, 2.3 % is within the prediction (x sqrt(1 + 1/5)); 2.5 % is not."""
    bands = Bands(np.zeros(1), np.array([0.02]), np.array([0.002]), runs=5)
    slow, _ = suspects(screen(np.array([change]), bands), np.zeros(1))

    assert bands.prediction[0] == pytest.approx(0.02 * np.sqrt(1.2))
    assert slow[0] == suspected


@pytest.mark.parametrize(("cases", "faster"), [(1, True), (200, False)])
def test_an_improvement_is_suspected_for_all_cases_together(cases: int, faster: bool) -> None:
    """3 % faster at a spread of 1 % has p = 0.004: rare for one case, expected among 200; slower is not."""
    bands = Bands(np.zeros(cases), np.full(cases, 0.01), np.full(cases, 0.002), runs=20)
    changes = np.zeros(cases)
    changes[0] = -0.03

    assert suspects(screen(changes, bands), np.zeros(cases))[1].any() == faster
    assert suspects(screen(-changes, bands), np.zeros(cases))[0].any()


@pytest.mark.parametrize("relative", [0.01, 0.10])
def test_what_is_detectable_is_never_below_the_threshold(baseline: Baseline, relative: float) -> None:
    """A quiet case claims the policy's threshold and what the A/B misses above it, not less."""
    criteria = Criteria.of(baseline, Policy(relative=relative), made.PAIRS)

    assert all(relative < share < relative + 0.03 for share in criteria.detectable.values())


@pytest.mark.parametrize(("rate", "slower"), [(0.01, False), (0.05, True)])
def test_the_first_pairs_must_be_clearer_than_all_of_them(rate: float, slower: bool) -> None:
    """Nine of ten pairs are slower, p = 0.014: enough at the last look, not while more pairs may follow."""
    differences = np.array([[-0.012, *np.linspace(0.012, 0.03, 9)]])
    changes = paired(differences, np.array([0.004]))

    assert confirmed(changes, np.log1p([0.01]), rate)[0][0] == slower


@pytest.mark.parametrize(("least", "slower"), [(0.001, False), (0.006, True)])
def test_pairs_within_the_margin_do_not_count_as_slower(least: float, slower: bool) -> None:
    """All ten pairs are slower, five of them by 3 to 5 %; the others must be beyond the margin of 0.5 %
    too."""
    small = least + np.linspace(0, 0.002, 5)
    differences = np.concatenate([small, np.linspace(0.03, 0.05, 5)])[None, :]
    changes = paired(differences, np.array([0.002]))

    assert confirmed(changes, np.log1p([0.01]), LAST_RATE)[0][0] == slower


@pytest.mark.parametrize(("step", "indices"), [(0.085, []), (0.13, [6])])
def test_a_step_must_be_unlikely_among_all_the_places_tried(step: float, indices: list[int]) -> None:
    """0.085 in twelve values has p < 0.001 at its own place, but not among seven places; 0.13 has."""
    values = 0.01 * np.array([1.0, -1.0] * 6) + np.repeat([0.0, step], 6)

    assert [point.index for point in change_points(values)] == indices


@pytest.mark.parametrize(("last", "indices"), [(1, []), (3, [11])])
def test_an_outlier_at_the_end_is_not_a_level(last: int, indices: list[int]) -> None:
    """One value that is 50 % higher is not a change point; three in a row are."""
    values = 0.002 * np.array([1.0, -1.0] * 7)
    values[-last:] += 0.5

    assert [point.index for point in change_points(values)] == indices


def test_the_limit_of_an_anchor_covers_long_tails() -> None:
    """Quiet anchors may move 1 %, noisy ones four spreads, long-tailed ones twice their 95th percentile."""
    assert anchor_limit([0.0005] * 20) == MAY_MOVE
    assert anchor_limit([0.006745] * 20) == pytest.approx(0.04)
    assert anchor_limit([0.001] * 90 + [0.02] * 10) == pytest.approx(0.04)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("device", "NVIDIA A100"),
        ("driver", "999.1"),
        ("power_limit_w", 123.0),
        ("ecc", "flip"),
        ("mig", "1g.10gb"),
    ],
)
def test_every_setting_of_the_machine_is_part_of_the_contract(now: Run, field: str, value: object) -> None:
    """A run on a machine that differs in one setting breaks the contract, with one line that names it."""
    agreed = contract_of(made.times(now))
    other = not agreed.ecc if field == "ecc" else value
    breaches = machine_breaches(agreed, msgspec.structs.replace(agreed, **{field: other}))

    assert len(breaches) == 1
    assert breaches[0].endswith(f"and this run has {other}")
    assert machine_breaches(agreed, agreed) == []


def test_variables_that_steer_the_libraries_are_part_of_the_contract(now: Run) -> None:
    """Another value, number of threads or instruction set is another machine; an older baseline has none."""
    sets = ("avx2", "avx512f")
    agreed = msgspec.structs.replace(contract_of(made.times(now)), threads=8, environment={}, isa=sets)
    slow = msgspec.structs.replace(agreed, environment={"ONEDNN_MAX_CPU_ISA": "AVX2"})
    few = msgspec.structs.replace(agreed, threads=4)
    hidden = msgspec.structs.replace(agreed, isa=("avx2", "amx_tile"))
    old = msgspec.structs.replace(agreed, threads=None, environment=None, isa=())

    assert machine_breaches(agreed, slow) == ["another environment: ONEDNN_MAX_CPU_ISA not set -> AVX2"]
    assert machine_breaches(agreed, few) == ["another number of threads: 8, and this run has 4"]
    assert machine_breaches(agreed, hidden) == ["other instruction sets: -avx512f +amx_tile"]
    assert machine_breaches(old, slow) == machine_breaches(old, few) == machine_breaches(old, hidden) == []


def test_a_waiver_holds_through_the_day_it_expires(baseline: Baseline) -> None:
    """On its last day it is accepted, on the next day it is an error."""
    waiver = Waiver(case="gemm/*", allow=0.1, reason="cuBLAS 13.1", expires=date(2026, 11, 21))
    policy = Policy(waiver=(waiver,))
    policy.require_current(baseline.bands(), date(2026, 11, 21), "gate.toml")

    with pytest.raises(UsageError, match="expired on 2026-11-21"):
        policy.require_current(baseline.bands(), date(2026, 11, 22), "gate.toml")


@pytest.mark.parametrize("order", [1, -1])
def test_a_floor_is_held_by_the_best_kernel_in_any_order(baseline: Baseline, now: Run, order: int) -> None:
    """Kernels at 20 % of their speed below another that keeps its own fail no floor, first or last in the
    run."""
    slow = made.changed(now, lambda x: made.slower(x, 4.0) if x.provider == "triton" else x)
    slow.measurements = slow.measurements[::order]
    times = made.times(slow)
    criteria = Criteria.of(baseline, Policy(), made.PAIRS)
    verdicts = screen_run(criteria, times).verdicts
    before = counts(verdicts.values())

    assert counts(apply_floors(verdicts, times, {"bf16": 0.5}, criteria).values()) == before
    assert counts(apply_floors(verdicts, times, {"bf16": 0.99}, criteria).values()) != before


@pytest.mark.parametrize(("above", "fails"), [(0.9, False), (1.1, True)])
def test_a_floor_leaves_room_for_the_noise_of_a_share(
    baseline: Baseline, now: Run, above: float, fails: bool
) -> None:
    """A floor above the share by 0.9 of the noise's margin is held, one by 1.1 of it is not."""
    times, criteria = made.times(now), Criteria.of(baseline, Policy(), made.PAIRS)
    roofs = measured_roofs(times.device.id, now.ceilings)
    bf16 = [line for line in now.measurements if line.parsed_case.scheme == "bf16"]
    shares = best_roof_shares(bf16, roofs)
    case, (kernel, share) = min(shares.items(), key=lambda item: item[1][1])
    margin = criteria.roof_margin((case, kernel))
    verdicts = screen_run(criteria, times).verdicts
    floored = apply_floors(verdicts, times, {"bf16": share * math.exp(above * margin)}, criteria)

    assert 0.005 < margin < 0.05
    assert (floored[case, kernel].verdict == "slower") is fails


@pytest.mark.parametrize(("library", "same"), [("quantroof", True), ("torch", False)])
def test_equal_sources_are_equal_code_whatever_the_version_of_quantroof(library: str, same: bool) -> None:
    """Another version of quantroof around the same kernel is the same code; another torch is not."""
    versions = {"quantroof": "0.1.0", "torch": "2.11.0"}

    def side(**changed: str) -> Side:
        where = Path("/nowhere")
        return Side("base", "python", where, where, (), {"k": "hash"}, {**versions, **changed}, {})

    assert side().same_code(side(**{library: "9.9"}), "k") is same


@pytest.mark.parametrize(("share", "moved"), [(0.9, False), (1.1, True)])
def test_a_band_has_moved_by_what_it_detects(baseline: Baseline, share: float, moved: bool) -> None:
    """A new center within 0.9 of the detectable change is the same band, beyond it a moved one."""
    band = next(iter(baseline.cases.values()))
    for sign in (1, -1):
        other = msgspec.structs.replace(band, ns=band.ns * (1 + sign * share * band.detectable))
        assert band.moved_to(other) is moved
