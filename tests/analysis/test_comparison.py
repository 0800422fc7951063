"""Two runs: the verdict rule, its interval, causes, and what must never be compared."""

from __future__ import annotations

import random

import msgspec
import pytest

from quantroof.analysis.comparison import NotComparable, RunComparison, compare
from quantroof.analysis.device_results import device_results
from quantroof.analysis.ratio import judge_ratio, ratio_interval
from quantroof.analysis.statistics import Interval, median_interval
from quantroof.errors import ExitCode
from quantroof.records.directory import Run
from quantroof.records.run import Host
from tests.builders import gpu_device, info, run, samples
from tests.runs import gpu_run, repeated, slower

_MOVED = ("SM clock 1755 -> 1580 MHz", "SM clock 1695 -> 1580 MHz")


def _compare(base: Run, now: Run) -> RunComparison:
    return compare(device_results([base]), device_results([now]))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (1.06, 1.09, "slower"),
        (1.04, 1.09, "undecided"),
        (0.97, 1.03, "same"),
        (0.90, 1.10, "undecided"),
        (0.90, 0.94, "faster"),
        (0.94, 0.99, "undecided"),
    ],
)
def test_verdict_needs_the_whole_interval(low: float, high: float, verdict: str) -> None:
    """With a floor of 5 % the interval must lie wholly beyond 1.05 or 1/1.05, or wholly between."""
    assert judge_ratio(Interval((low + high) / 2, low, high, 20), 0.05) == verdict


def test_ratio_interval_misses_the_truth_rarely_on_either_side() -> None:
    """Of 2,000 log-normal pairs at most 2.5 % lie wholly above the true ratio, and as few wholly below."""
    source = random.Random(7)
    above = below = 0
    for _ in range(2000):
        base = [100 * source.lognormvariate(0, 0.02) for _ in range(30)]
        now = [110 * source.lognormvariate(0, 0.02) for _ in range(30)]
        changes = ratio_interval(median_interval(base), median_interval(now))
        above += changes.low > 1.1
        below += changes.high < 1.1

    assert 0 < above <= 50
    assert 0 < below <= 50


def test_planted_slowdown_is_found_with_its_cause_and_nothing_else() -> None:
    """12 % on one kernel gives its 15 cases `slower` with the changed registers, and 285 stay."""
    base = repeated(gpu_run())
    changes = _compare(base, slower(base, 1.12, scheme="int4-w4a16", provider="triton"))

    assert (changes.count("slower"), changes.count("same"), changes.count("undecided")) == (15, 285, 0)
    assert {e.kernel for e in changes.entries[:15]} == {"triton.int4-w4a16"}
    assert changes.entries[0].causes == ("registers 168 -> 204", "spill_bytes 0 -> 1132")
    assert [e.lost_ns for e in changes.entries[:15]] == sorted(
        (e.lost_ns for e in changes.entries[:15]), reverse=True
    )


def test_lost_case_is_missing_and_an_added_one_is_new() -> None:
    """A case that had a time and has none now needs a look; one that was never there is new."""
    whole = gpu_run()
    part = run(whole.info, [*whole.ceilings, *whole.measurements[10:]])

    assert _compare(whole, part).count("missing") == 10
    assert _compare(part, whole).count("new") == 10


def test_what_neither_run_timed_is_not_counted() -> None:
    """A case that is skipped in both runs does not pass; skipped in the new run only, it is missing."""
    base = gpu_run()
    first, *rest = base.measurements
    skipped = msgspec.structs.replace(first, status="skipped", reason="too large", timing=None, accuracy=None)
    without = run(base.info, [*base.ceilings, skipped, *rest])

    assert len(_compare(without, without).entries) == len(_compare(base, base).entries) - 1
    assert _compare(base, without).count("missing") == 1


def test_changed_clock_and_versions_are_named_as_causes() -> None:
    """A clock that moved 10 % and another torch stand beside the verdict."""
    base = repeated(gpu_run())
    header = info(base.info.devices, versions={**base.info.versions, "torch": "2.14.0"})
    lines = [
        msgspec.structs.replace(
            m,
            timing=msgspec.structs.replace(m.timing, samples_ns=samples(m.timing.samples_ns[0] * 1.2)),
            state=msgspec.structs.replace(m.state, sm_clock_mhz=1580.0),
        )
        for m in base.measurements
        if m.timing is not None and m.state is not None
    ]
    changes = _compare(base, run(header, lines))

    assert changes.differences == ("torch 2.13.0 -> 2.14.0",)
    assert changes.count("slower") == 300
    assert all(entry.causes[0] in _MOVED for entry in changes.entries)
    assert all("torch 2.13.0 -> 2.14.0" in e.causes for e in changes.entries)


def test_a_device_is_told_from_itself_only() -> None:
    """Its new driver is a difference; a GPU that only the second run has differs from none."""
    base = gpu_run()
    (gpu,) = base.info.devices
    newer, second = msgspec.structs.replace(gpu, driver="590.44.01"), gpu_device(index=1)
    now = run(info([newer, second]), base.measurements)

    assert _compare(base, now).differences == ("cuda:0 driver 580.159.04 -> 590.44.01",)


def test_simulated_never_compares_with_measured() -> None:
    """The refusal carries the exit code of `not comparable`."""
    with pytest.raises(NotComparable, match="a simulated run never compares") as caught:
        _compare(gpu_run(), gpu_run(simulated=True))

    assert caught.value.exit_code is ExitCode.UNDECIDED


def test_other_mode_or_model_blocks_every_verdict() -> None:
    """Burst against sustained, and one GPU model against another, are refused with the reason."""
    base = gpu_run()
    sustained = run(info(base.info.devices, mode="sustained"), [*base.ceilings, *base.measurements])
    other = gpu_run(name="NVIDIA H200")

    assert (
        _compare(base, sustained).blocked == "mode burst against sustained: modes never mix in one comparison"
    )
    assert _compare(base, other).blocked == "cuda:0 is NVIDIA H200 now and was NVIDIA H100 80GB HBM3"


def test_another_node_is_named() -> None:
    """Two runs of the same GPU model on two nodes differ in the node, and a loss has it among its causes."""
    base = repeated(gpu_run())
    now = slower(base, 1.3, scheme="bf16", provider="triton")
    assert _compare(base, now).differences == ()

    now.info = msgspec.structs.replace(now.info, host=Host(name="node-18"))
    changes = _compare(base, now)
    assert changes.differences == ("node node-17 -> node-18",)
    assert all("node node-17 -> node-18" in entry.causes for entry in changes.entries if entry.lost_ns > 0)


def test_one_process_per_side_decides_no_difference() -> None:
    """30 % on one kernel in single processes is undecided and said to differ; in three it is slower."""
    once, thrice = gpu_run(), repeated(gpu_run())
    single = _compare(once, slower(once, 1.3, scheme="bf16", provider="torch"))
    several = _compare(thrice, slower(thrice, 1.3, scheme="bf16", provider="torch"))

    assert (single.count("slower"), single.count("undecided"), single.verdict) == (0, 15, "undecided")
    assert single.entries[0].causes[0] == "differs, but fewer than 3 processes measured it"
    assert (several.count("slower"), several.verdict) == (15, "slower")
