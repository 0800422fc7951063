"""Where a constant or a sign of the gate decides: a case on each side of every limit."""

from __future__ import annotations

import dataclasses
import json
import math

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from quantroof.analysis.distributions import t_quantile, t_tail
from quantroof.gate.band import Bands, process_spread
from quantroof.gate.baseline import Baseline, parse, text_of
from quantroof.gate.confirm import FIRST_RATE, LAST_RATE, confirmed, paired, suspects
from quantroof.gate.contract import contract_of
from quantroof.gate.environment import Tolerance, findings, without_disturbed
from quantroof.gate.judge import apply_waivers
from quantroof.gate.policy import Policy, Waiver
from quantroof.gate.times import Anchoring, RunTimes
from quantroof.records.directory import Run
from quantroof.records.lines import Anchor, AnchorName, Flag, Measurement
from tests.gate import made
from tests.gate.test_formulas import _estimate
from tests.gate.test_judge import _KEY, _TODAY, _after_ab, _is, _pairs, _screened, _slowed

ONE = np.array([1.0])


@pytest.mark.parametrize(("share", "suspected"), [(0.012, False), (0.013, True)])
def test_a_case_is_suspected_from_an_effect_of_one_and_a_quarter_percent(
    share: float, *, suspected: bool
) -> None:
    """However clear it is, a smaller one costs no second measurement, in either direction."""
    slower, _ = suspects(_estimate(math.log1p(share), 0.0, 1.0), np.zeros(1))
    _, faster = suspects(_estimate(-math.log1p(share), 1.0, 0.0), np.zeros(1))

    assert (slower[0], faster[0]) == (suspected, suspected)


@pytest.mark.parametrize(("change", "verdict"), [(0.0093, "same"), (0.0107, "slower")])
def test_without_a_policy_one_percent_is_a_regression(
    baseline: Baseline, now: Run, change: float, verdict: str
) -> None:
    """Pairs that are all slower by 0.9 % pass, and by 1.1 % they fail."""
    pairs = _pairs(math.log1p(change), 0.0002)

    assert _after_ab(baseline, _slowed(now, 0.05), pairs, Policy(absolute_ns=0))[_KEY].verdict == verdict


def test_of_a_quiet_case_the_screen_limits_what_is_detectable() -> None:
    """Its least effect and what it misses, where runs and processes spread by 0.1 %."""
    bands = Bands(ONE, 0.001 * ONE, 0.001 * ONE, runs=5)
    expected = math.log1p(0.0125) + t_quantile(0.03, 10) * 0.001 * math.sqrt(1.2)

    assert bands.detectable(10, np.log1p(0.001 * ONE)) == pytest.approx(expected)


def test_of_restless_processes_the_pairs_limit_what_is_detectable() -> None:
    """The margin of 0.5 %, p = 0.0125 for one case among four, and what the A/B misses."""
    bands = Bands(ONE, 0.001 * ONE, 0.02 * ONE, runs=5)
    error = 1.05 * 0.02 * math.sqrt(2 / 30)
    expected = 0.005 + (t_quantile(0.0125, 35) + t_quantile(0.03, 35)) * error

    assert bands.detectable(10, np.log1p(0.01 * ONE)) == pytest.approx(expected)


def test_each_case_has_the_spread_of_its_own_processes() -> None:
    """Of three runs the middle variance, for a case of spread 1 and one of spread 2 alike."""
    quiet = np.array([-1.0, 0.0, 1.0])
    runs = [np.stack([factor * quiet, 2 * factor * quiet]) for factor in (0.5, 1.0, 9.0)]
    expected = math.sqrt(1 / (1 - 2 / 18) ** 3)

    assert process_spread(runs) == pytest.approx([expected, 2 * expected])


def test_a_run_of_more_processes_is_corrected_for_its_own_number() -> None:
    """Two runs of three processes and one of five, all of the same typical variance, have one spread."""
    three, five = (np.linspace(-1, 1, count)[None, :] for count in (3, 5))
    own = [
        one * math.sqrt((1 - 2 / (9 * freedom)) ** 3 / one.var(ddof=1))
        for one, freedom in ((three, 2), (five, 4))
    ]

    assert process_spread([own[0], own[1], own[1]]) == pytest.approx(1.0)


@pytest.mark.parametrize(("flagged", "judged"), [(1, True), (2, True), (3, False)])
def test_a_clock_that_moved_in_half_of_the_processes_forbids_a_verdict(
    baseline: Baseline, now: Run, flagged: int, *, judged: bool
) -> None:
    """Of five processes two may have a moved clock, three may not."""
    flag = Flag(code="clock_moved", text="it moved")

    def moved(line: Measurement) -> Measurement:
        return replace(line, flags=(flag,)) if _is(line) and line.process < flagged else line

    verdict = _screened(baseline, made.changed(now, moved)).verdicts[_KEY].verdict
    assert (verdict != "not comparable") is judged


def test_a_waiver_touches_slowdowns_of_its_own_cases_alone(baseline: Baseline, now: Run) -> None:
    """Other verdicts, slowdowns of other cases and slowdowns without a change stay as they are."""
    waiver = Waiver(case=f"{_KEY[0]} *", allow=0.5, reason="cuBLAS 13.1", expires=_TODAY)
    policy = Policy(waiver=(waiver,))
    verdicts = _after_ab(baseline, _slowed(now, 0.05), _pairs(0.05))
    elsewhere = Policy(waiver=(replace(waiver, case="dequantize/*"),))
    floored = {_KEY: replace(verdicts[_KEY], change=None)}

    waived = apply_waivers(verdicts, policy)
    assert {key for key in verdicts if waived[key] != verdicts[key]} == {_KEY}
    assert waived[_KEY].verdict == "waived"
    assert apply_waivers(verdicts, elsewhere) == verdicts
    assert apply_waivers(floored, policy) == floored


@pytest.mark.parametrize(
    ("rate", "p", "counts"),
    [
        (FIRST_RATE, 0.009, True),
        (FIRST_RATE, 0.011, False),
        (LAST_RATE, 0.049, True),
        (LAST_RATE, 0.051, False),
    ],
)
def test_of_one_suspect_the_looks_ask_one_and_five_percent(rate: float, p: float, *, counts: bool) -> None:
    """The first look is strict because more pairs may follow."""
    slower, _ = confirmed(_estimate(0.1, p, 1.0), np.zeros(1), rate)
    _, faster = confirmed(_estimate(-0.1, 1.0, p), np.zeros(1), rate)

    assert (slower[0], faster[0]) == (counts, counts)


@pytest.mark.parametrize("sign", [1, -1])
def test_pairs_of_restless_processes_have_the_p_of_the_t_test(sign: int) -> None:
    """Every pair is slower by 10 %, but processes spread by 10 %: the larger p counts, beyond 0.5 %."""
    found = paired(np.full((1, 10), sign * 0.1), np.array([0.1]))
    error = 1.05 * math.sqrt(6 * 2 * 0.1**2 / 15) / math.sqrt(10)
    toward, away = (found.slower_p, found.faster_p)[::sign]

    assert toward[0] == pytest.approx(t_tail(np.array([(0.1 - 0.005) / error]), 15)[0])
    assert away[0] > 0.5
    assert found.change - found.low == pytest.approx(found.high - found.change)
    assert found.low < found.change


def test_pairs_that_are_faster_mirror_pairs_that_are_slower() -> None:
    """The signed-rank test asks the same margin in both directions."""
    differences = np.array([[-0.02, 0.001, *np.linspace(0.004, 0.011, 8)]])
    there, back = paired(differences, np.array([0.001])), paired(-differences, np.array([0.001]))

    assert there.slower_p == pytest.approx(back.faster_p)
    assert there.faster_p == pytest.approx(back.slower_p)


def test_a_baseline_that_does_not_say_how_it_was_timed_was_not_timed_eagerly(baseline: Baseline) -> None:
    """Files of older versions have no such field: their calls were replayed from a graph."""
    data = json.loads(text_of(baseline))
    del data["contract"]["eager"], data["digest"]

    assert parse(json.dumps(data).encode(), "b.json").contract.eager is False


def test_the_hash_of_a_suite_is_the_one_in_committed_baselines(now: Run) -> None:
    """Sixteen digits of SHA-256: another length would call every committed suite a changed one."""
    times = made.times(now)
    info = replace(times.run.info, suite_source="abc")
    run = Run(times.run.path, info, times.run.ceilings, times.run.anchors, times.run.measurements, [])

    assert contract_of(made.times(run)).suite_text == "ba7816bf8f01cfea"


@pytest.mark.parametrize(
    ("scale", "limit"), [(0.001, math.log1p(0.05)), (0.03, 0.12)], ids=["5 %", "four spreads"]
)
@pytest.mark.parametrize(("over", "slow"), [(-0.002, False), (0.002, True)])
def test_a_machine_is_slow_beyond_five_percent_and_four_spreads(
    baseline: Baseline, now: Run, scale: float, limit: float, over: float, *, slow: bool
) -> None:
    """The level of an anchor may move by 5 %, or by four of its spreads where they are more."""
    times = made.times(now)
    levels = times.anchor_level()
    anchors = {
        name: replace(band, scale=scale, ns=math.exp(levels[name] - (limit + over if name == "copy" else 0)))
        for name, band in baseline.anchors.items()
    }
    found = findings(times, replace(baseline, anchors=anchors), Tolerance())

    assert [finding.code for finding in found] == ["machine_slow"] * slow


def _with_moved_anchors(now: Run, processes: int, disturbed: int) -> RunTimes:
    times = made.times(now)
    moved: dict[int, dict[AnchorName, float]] = {
        process: {"gemm": 0.2 if process < disturbed else 0.0} for process in range(processes)
    }
    return dataclasses.replace(times, anchoring=Anchoring(times.anchoring.level, moved))


@pytest.mark.parametrize(
    ("processes", "disturbed", "left_out"), [(5, 1, 1), (5, 2, 0), (8, 2, 0), (10, 2, 2)]
)
def test_one_process_of_five_may_be_disturbed(
    now: Run, processes: int, disturbed: int, left_out: int
) -> None:
    """Beyond a fifth nothing is left out: the machine is not fit."""
    times = _with_moved_anchors(now, processes, disturbed)
    kept, remarks = without_disturbed(times, {"gemm": 0.1, "copy": 0.1})

    assert len(remarks) == left_out
    assert len(kept.anchoring.moved) == processes - left_out


@pytest.mark.parametrize(("share", "valid"), [(-0.1, False), (0.0, True), (1.0, True), (1.1, False)])
def test_a_policy_tolerates_a_share_from_none_to_all(share: float, *, valid: bool) -> None:
    """0 bears no flag, 1 bears every one; anything else is a mistake of the policy."""
    text = json.dumps({"clock_moved_share": share, "foreign_load_share": share}).encode()
    if valid:
        assert msgspec.json.decode(text, type=Tolerance).foreign_load_share == share
        return
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Tolerance)


@pytest.mark.parametrize(("more", "invalid"), [(0, False), (1, True)])
def test_other_load_is_borne_in_half_of_the_lines_of_the_device(more: int, *, invalid: bool) -> None:
    """Beyond half of its measurements and anchors; the anchors of another device do not count."""
    run = made.made_up(1, 20)
    left = (len(run.measurements) + len(run.anchors)) // 2 + more

    def flagged(line: Measurement) -> Measurement:
        nonlocal left
        left -= 1
        return replace(line, flags=(Flag(code="foreign_load", text="x"),)) if left >= 0 else line

    loaded = made.changed(run, flagged)
    others: list[Anchor] = [replace(anchor, device="cuda:1") for anchor in loaded.anchors]
    loaded.anchors = [*loaded.anchors, *others]
    found = findings(made.times(loaded), None, Tolerance())

    assert [finding.code for finding in found] == ["foreign_load"] * invalid
