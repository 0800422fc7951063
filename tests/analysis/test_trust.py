"""Whether a run may be used: each limit with a case on either side, and input that contradicts itself."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from msgspec.structs import replace

from quantroof.analysis.answers import answers
from quantroof.analysis.comparison import compare
from quantroof.analysis.conclusions import conclude
from quantroof.analysis.device_results import device_results
from quantroof.analysis.run_verdict import run_verdict
from quantroof.analysis.trust import trust_of
from quantroof.bench.state.flags import state_flags
from quantroof.records.directory import Run
from quantroof.records.lines import Ceiling, DeviceState, Flag, Measurement
from quantroof.reports.cards import cards
from tests.analysis.lines import exact
from tests.analysis.test_cause import simulated
from tests.builders import cpu_device, gpu_device, info, run, state, timing
from tests.runs import cpu_run, empty_run, gpu_run

CPU = cpu_device()
BUSY = "27 timed, 27 disturbed: other processes kept 1.5 cores busy; do not use"


def loaded(line: Measurement, cores: float = 1.5) -> Measurement:
    """The line as a monitor writes it beside other processes."""
    flag = Flag(code="foreign_load", text=f"other processes kept {cores} cores busy meanwhile")
    return replace(line, state=replace(line.state or state(), other_load_cores=cores), flags=(flag,))


def busy_run() -> Run:
    """A CPU run of 27 cases, all disturbed."""
    quiet = cpu_run()
    timed = [m for m in quiet.measurements if m.timing is not None][:27]
    return run(quiet.info, [*quiet.ceilings, *map(loaded, timed)])


@pytest.mark.parametrize(("disturbed", "usable"), [(10, True), (11, False)])
def test_ten_percent_of_disturbed_lines_are_too_many(disturbed: int, usable: bool) -> None:
    """10 of 100 disturbed measurements leave a run usable, 11 do not."""
    line = exact(CPU, "bf16", 1e6)
    trust = trust_of([loaded(line) if i < disturbed else line for i in range(100)])

    assert (trust.usable, trust.disturbed) == (usable, disturbed)


def test_a_quota_that_stops_the_threads_disturbs() -> None:
    """A container's CPU quota lengthens samples without any other load: the run says so."""
    line = exact(CPU, "bf16", 1e6)
    stopped = replace(line, flags=state_flags(DeviceState(throttled_periods=23), "burst"))

    assert trust_of([stopped]).reasons == ("a CPU quota stopped the threads in 1 measurements",)
    assert trust_of([replace(line, flags=state_flags(DeviceState(throttled_periods=0), "burst"))]).usable


@pytest.mark.parametrize(("spread", "usable"), [(0.098, True), (0.102, False)])
def test_intervals_of_ten_percent_are_too_wide(spread: float, usable: bool) -> None:
    """A median half-width of 9.8 % is usable, one of 10.2 % is not."""
    assert trust_of([exact(CPU, "bf16", 1e6, spread=spread)]).usable is usable


@pytest.mark.parametrize(("factor", "usable"), [(1.09, True), (1.13, False)])
def test_a_bandwidth_that_moved_during_the_run_shows(factor: float, usable: bool) -> None:
    """A read that is 8 % slower at the end is noise, one that is 11 % slower is another machine."""
    first = Ceiling(
        device=CPU.id, quantity="bandwidth", name="read", kernel="stream.read", status="ok",
        bytes_moved=1 << 28, timing=timing(1e7, spread=0.0),
    )  # fmt: skip
    last = replace(first, moment="end", timing=timing(1e7 * factor, spread=0.0))
    trust = trust_of([exact(CPU, "bf16", 1e6)], [first, last])

    assert trust.usable is usable
    assert usable or trust.reasons == ("the read ceiling fell 12 % during the run",)


@pytest.mark.parametrize(("fault", "state"), [("", "ok"), ("+fading@0", "unknown")])
def test_a_device_that_changes_its_state_during_a_run_shows(fault: str, state: str) -> None:
    """Read and copy are measured again at the end, by simulated devices too: bandwidth that fell is named."""
    built = simulated(fault)
    ends = [ceiling.name for ceiling in built.ceilings if ceiling.moment == "end"]
    verdict = run_verdict(built)

    assert sorted(ends) == ["copy", "read"]
    assert verdict.state == state
    words = "the read ceiling fell 20 % during the run; only leads of more than 49 % count"
    assert state == "ok" or words in (verdict.reason or "")


def _contradicting() -> Run:
    return run(info([CPU]), [loaded(exact(CPU, "bf16", 1e6), cores=0.0)])


def _not_finite() -> Run:
    line = exact(CPU, "bf16", 1e6)
    assert line.timing is not None
    return run(
        info([CPU]), [replace(line, timing=replace(line.timing, samples_ns=(1e6, math.inf, math.inf)))]
    )


def _no_ceilings() -> Run:
    return run(info([gpu_device()]), gpu_run().measurements)


@pytest.mark.parametrize(
    ("built", "words"),
    [
        (_contradicting(), "flagged as disturbed and recorded as idle"),
        (_not_finite(), "1 of 1 cases have no finite interval"),
        (_no_ceilings(), "no ceiling was measured"),
        (empty_run(), "no ceiling was measured"),
        (busy_run(), "other processes kept 1.5 cores busy"),
    ],
)
def test_bad_input_is_unknown_with_a_reason(built: Run, words: str) -> None:
    """Flags that contradict the state, infinite samples, absent ceilings, no line: never ok."""
    verdict = answers([built]).health.verdict

    assert verdict.state == "unknown"
    assert words in (verdict.reason or "")


def test_a_disturbed_run_concludes_nothing() -> None:
    """Every card is amber and starts with the reason, no format wins any cell, and nothing is compared."""
    built = busy_run()
    report = answers([built], cpu_run())
    health, formats, changes = cards(report)

    assert [card.tone for card in (health, formats, changes)] == ["unsure"] * 3
    assert [card.verdict for card in (health, formats, changes)] == ["unknown", "unknown", "not comparable"]
    assert health.facts[0] == formats.facts[0] == BUSY
    assert BUSY in changes.facts[0]
    assert not any(b.winner.leaders for layer in report.choices[0] for b in layer.batches)
    assert report.choices[0][0].sentence() == f"unknown: {BUSY}"
    assert conclude(answers([cpu_run()])).formats.tone == "good"


def test_a_comparison_with_a_disturbed_run_is_refused() -> None:
    """Whichever side it is on, the reason names that side."""
    quiet, busy = device_results([cpu_run()]), device_results([busy_run()])

    assert (compare(quiet, busy).verdict, compare(busy, quiet).verdict) == ("not comparable",) * 2
    assert (compare(quiet, busy).blocked or "").startswith("the new run is disturbed")
    assert (compare(busy, quiet).blocked or "").startswith("the old run is disturbed")


def test_unknown_words_of_files_stay(tmp_path: Path) -> None:
    """A ceiling of an older file has no moment and counts as taken at the start."""
    assert cpu_run().ceilings[0].moment == "start"
