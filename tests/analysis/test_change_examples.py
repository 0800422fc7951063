"""Changes between two small runs of one GPU, where one value decides the verdict or its words."""

from __future__ import annotations

import dataclasses

import pytest
from msgspec.structs import replace

from quantroof.analysis.cause import NO_CAUSE, ChangeGroup, cause, change_groups
from quantroof.analysis.comparison import CaseChange, RunComparison, compare
from quantroof.analysis.device_results import device_results
from quantroof.records.directory import Run
from quantroof.records.lines import Measurement
from tests.analysis.lines import exact
from tests.analysis.small_runs import GPU, NS, case, compared, one_gpu
from tests.analysis.test_trust import loaded
from tests.builders import cpu_device, gpu_device, info, run, state, unmeasured

LAYER = (4096, 4096)


def _entry(base: Run, now: Run) -> CaseChange:
    (entry,) = compared(base, now).entries
    return entry


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.06, "slower"), (1.04, "same"), (0.96, "same"), (0.94, "faster")]
)
def test_five_percent_is_the_floor_of_a_change(factor: float, verdict: str) -> None:
    """Unless asked otherwise, with processes that agree: 4 % is the same, 6 % is a change."""
    base, now = (device_results([one_gpu(case(NS * f))]) for f in (1.0, factor))

    assert compare(base, now).entries[0].verdict == verdict


@pytest.mark.parametrize(
    ("base", "now", "verdict"),
    [(3, 3, "slower"), (3, 2, "undecided"), (2, 3, "undecided"), (1, 1, "undecided")],
)
def test_both_sides_need_three_processes(base: int, now: int, verdict: str) -> None:
    """30 % more time: decided by three against three, and otherwise only said to differ."""
    entry = _entry(one_gpu(case(processes=base)), one_gpu(case(1.3 * NS, processes=now)))
    words = "differs, but fewer than 3 processes measured it"

    assert (entry.verdict, entry.differs) == (verdict, verdict == "undecided")
    assert (words in entry.causes) is (verdict == "undecided")


def test_what_spreads_over_the_floor_does_not_differ() -> None:
    """8 % more in single processes whose samples spread by 6 %: undecided, and not said to differ."""
    sides = (replace(exact(GPU, "bf16", ns, m=1, spread=0.06), state=state()) for ns in (NS, 1.08 * NS))
    base, now = (one_gpu([line]) for line in sides)
    entry = _entry(base, now)

    assert (entry.verdict, entry.differs) == ("undecided", False)
    assert not any("differs" in text for text in entry.causes)
    assert change_groups(compared(base, now)) == []


@pytest.mark.parametrize(("moved", "named"), [(0.985, False), (0.975, True), (1.015, False), (1.025, True)])
def test_a_clock_that_moved_by_two_percent_stands_beside_the_verdict(moved: float, *, named: bool) -> None:
    """1.5 % is how clocks wander, 2.5 % is named, up or down."""
    entry = _entry(one_gpu(case()), one_gpu(case(1.3 * NS, mhz=1755.0 * moved)))

    assert any("SM clock 1755 ->" in cause for cause in entry.causes) is named


def test_an_impossible_time_on_either_side_is_not_comparable() -> None:
    """A thousandth of the time did not do the work, before or after."""
    good, bad = one_gpu(case()), one_gpu(case(NS / 1000))

    assert _entry(good, bad).verdict == _entry(bad, good).verdict == "not comparable"
    assert _entry(good, bad).causes == ()
    assert change_groups(compared(good, bad)) == []


def _beside_others(touched: bool, ns: float = NS) -> Run:
    """One case, disturbed or not, among 20 others that are quiet, so that the run stays usable."""
    lines = [loaded(line) if touched else line for line in case(ns, processes=1)]
    return one_gpu([*lines, *(line for m in range(2, 22) for line in case(m=m, processes=1))])


@pytest.mark.parametrize(("old", "new"), [(True, False), (False, True), (True, True)])
def test_a_disturbed_side_decides_no_change_but_may_be_the_same(old: bool, new: bool) -> None:
    """Either side beside other processes: 30 % more is not comparable, the same time is the same."""
    first = case()[0].key
    for factor, verdict in ((1.3, "not comparable"), (1.0, "same")):
        entries = compared(_beside_others(old), _beside_others(new, NS * factor)).entries
        (entry,) = (e for e in entries if (e.device, e.case, e.kernel) == first)
        words = ("other processes or a quota disturbed it",) if verdict == "not comparable" else ()
        assert (entry.verdict, entry.causes) == (verdict, words)


def test_one_disturbed_device_leaves_the_other_comparable() -> None:
    """Two GPUs, one of them beside other processes in the new run: only its case is not comparable."""
    second = gpu_device(index=1)

    def built(touched: bool) -> Run:
        line = replace(exact(second, "bf16", NS, m=1), state=state())
        lines = [replace(loaded(line) if touched else line, process=process) for process in range(3)]
        return run(info([GPU, second]), [*case(), *lines])

    changes = compared(built(False), built(True))
    words = "3 timed, 3 disturbed: other processes kept 1.5 cores busy; do not use"

    assert changes.blocked is None
    assert {entry.device: (entry.verdict, entry.causes) for entry in changes.entries} == {
        "cuda:0": ("same", ()), "cuda:1": ("not comparable", (words,)),
    }  # fmt: skip


def test_a_change_whose_sides_are_not_there_is_in_no_group() -> None:
    """The gate's history has changes of level without a point: they have no bound, and no code to compare."""
    built = device_results([one_gpu(case())])
    entry = _entry(one_gpu(case()), one_gpu(case(1.3 * NS)))
    without = dataclasses.replace(entry, base=None, now=None)
    comparison = RunComparison("a", "b", 0.05, (without,), (), None)

    assert change_groups(comparison) == []
    assert cause([dataclasses.replace(entry, base=None)], built, built) == NO_CAUSE


def test_a_lost_time_has_its_reason_and_a_first_one_has_none() -> None:
    """A case that fails now is missing, with what stopped it; one that failed before is new."""
    timed = one_gpu([*case(), *case(m=2)])
    failed = one_gpu([unmeasured(GPU, "bf16", 1, LAYER, "failed", "out of memory"), *case(m=2)])
    lost, same = compared(timed, failed).entries
    first, _ = compared(failed, timed).entries

    assert (lost.verdict, lost.causes, lost.lost_ns) == ("missing", ("out of memory",), 0.0)
    assert (first.verdict, first.causes, first.lost_ns) == ("new", (), 0.0)
    assert (same.verdict, compared(timed, failed).verdict, compared(failed, timed).verdict) == (
        "same", "missing", "same",
    )  # fmt: skip


def test_time_lost_is_the_later_time_less_the_earlier() -> None:
    """30 us after 20 are 10 lost; where one side is not there, none is known."""
    entry = _entry(one_gpu(case()), one_gpu(case(30_000.0)))

    assert entry.lost_ns == 10_000.0
    assert dataclasses.replace(entry, base=None).lost_ns == 0.0
    assert dataclasses.replace(entry, now=None).lost_ns == 0.0


def test_a_change_and_a_comparison_claim_nothing_by_themselves() -> None:
    """Neither differs nor is simulated unless it is said; `new` cases and blocked runs decide nothing."""
    change = CaseChange("cuda:0", "c", "k", "undecided", None, None, None)
    faster = dataclasses.replace(change, verdict="faster")
    fresh = dataclasses.replace(change, verdict="new")
    comparison = RunComparison("a", "b", 0.05, (change, faster, fresh), (), None)

    assert (change.differs, comparison.simulated) == (False, False)
    assert (comparison.verdict, comparison.count("new")) == ("undecided", 1)
    assert dataclasses.replace(comparison, entries=(fresh,)).verdict == "not comparable"
    assert dataclasses.replace(comparison, blocked="because").verdict == "not comparable"


def test_threads_differ_where_both_sides_know_them() -> None:
    """A CPU beside itself differs in nothing; with two threads more it says so."""
    base = cpu_device()
    assert base.cpu is not None
    wider = replace(base, cpu=replace(base.cpu, usable_cores=4))
    one, more = (one_gpu([exact(device, "bf16", 1e6)], device=device) for device in (base, wider))

    assert compared(one, one).differences == ()
    assert compared(one, more).differences == ("cpu:0 threads 2 -> 4",)


def test_runs_of_other_devices_have_nothing_to_compare() -> None:
    """cuda:0 in one and cuda:1 in the other; another cache state is refused as another mode is."""
    second = gpu_device(index=1)
    cold, hot = one_gpu(case()), one_gpu(case())
    hot.info = replace(hot.info, options=replace(hot.info.options, cache="hot"))

    assert (
        compared(one_gpu(case()), one_gpu([], device=second)).blocked == "the runs have no device in common"
    )
    assert compared(cold, hot).blocked == "cache cold against hot: modes never mix in one comparison"


def _group(cases: int, verdict: str, ratio: float, formats: int = 1, kernels: int = 1) -> ChangeGroup:
    names = ("bf16", "fp16")[:formats], ("torch.bf16", "triton.bf16")[:kernels]
    return ChangeGroup("memory-bound", *names, verdict, cases, ratio)


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (_group(1, "slower", 1.088), "1 bf16 memory-bound case of torch.bf16 is 8.8 % slower"),
        (_group(2, "slower", 1.088), "2 bf16 memory-bound cases of torch.bf16 are 8.8 % slower"),
        (_group(2, "faster", 0.9, kernels=2), "2 bf16 memory-bound cases are 10.0 % faster"),
        (_group(2, "slower", 2.5, 2, 1), "2 memory-bound cases are 150.0 % slower"),
        (_group(1, "same", 1.001, 2, 2), "1 memory-bound case is unchanged"),
        (_group(7, "same", 1.001, 2, 2), "7 memory-bound cases are unchanged"),
        (_group(1, "differs", 1.2), "1 bf16 memory-bound case of torch.bf16 differs, 20.0 % slower"),
        (_group(3, "differs", 0.8), "3 bf16 memory-bound cases of torch.bf16 differ, 20.0 % faster"),
    ],
)
def test_a_group_is_one_clause(group: ChangeGroup, words: str) -> None:
    """Number, format and kernel where there is one of each, share and direction."""
    assert group.words == words


def test_groups_stand_by_their_number_with_the_unchanged_last() -> None:
    """Three cases unchanged, two faster, one slower: in this order; the middle change speaks for all."""
    factors = (1.0, 1.0, 1.0, 0.8, 0.7, 1.5)
    base = one_gpu([line for m in range(1, 7) for line in case(m=m)])
    now = one_gpu([line for m, factor in enumerate(factors, 1) for line in case(NS * factor, m=m)])
    groups = change_groups(compared(base, now))

    assert [(group.verdict, group.cases) for group in groups] == [("faster", 2), ("slower", 1), ("same", 3)]
    assert [round(group.ratio, 3) for group in groups] == [0.75, 1.5, 1.0]


_SLOWER_AND_LOST = (
    "1 bf16 memory-bound case of torch.bf16 is 30.0 % slower, 1 case is missing, "
    "1 bf16 memory-bound case of torch.bf16 is unchanged; no cause found"
)


@pytest.mark.parametrize(
    ("base", "now", "words"),
    [
        ([], [], "no case is timed in both runs"),
        (case(), case(), "1 case is unchanged"),
        ([*case(), *case(m=2)], case(), "1 case is missing, 1 case is unchanged"),
        ([*case(), *case(m=2), *case(m=3)], case(), "2 cases are missing, 1 case is unchanged"),
        ([*case(), *case(m=2), *case(m=3)], [*case(1.3 * NS), *case(m=2)], _SLOWER_AND_LOST),
    ],
)
def test_the_summary_says_what_changed_then_what_is_missing(
    base: list[Measurement], now: list[Measurement], words: str
) -> None:
    """The changed first, and what stayed last."""
    assert compared(one_gpu(base), one_gpu(now)).summary == words
