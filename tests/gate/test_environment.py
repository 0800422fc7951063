"""What makes an environment invalid, and what the anchors take out instead."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from quantroof.gate.baseline import Baseline
from quantroof.gate.confirm import paired
from quantroof.gate.criteria import Criteria
from quantroof.gate.environment import Tolerance, findings
from quantroof.gate.judge import screen_run
from quantroof.gate.policy import Policy
from quantroof.gate.verdicts import counts
from quantroof.records.directory import Run
from quantroof.records.lines import Anchor, DeviceState, Flag, Measurement
from tests.gate import made


def _codes(run: Run, baseline: Baseline, tolerance: Tolerance | None = None) -> set[str]:
    return {found.code for found in findings(made.times(run), baseline, tolerance or Tolerance())}


def _machine(run: Run, share: float) -> Run:
    """The whole machine slower: cases and anchors alike."""

    def slow(anchor: Anchor) -> Anchor:
        assert anchor.timing is not None
        samples = tuple(value * (1 + share) for value in anchor.timing.samples_ns)
        timing = msgspec.structs.replace(anchor.timing, samples_ns=samples)
        return msgspec.structs.replace(anchor, timing=timing)

    slower = made.changed(run, lambda line: made.slower(line, share))
    slower.anchors = [slow(anchor) for anchor in run.anchors]
    return slower


def test_a_machine_that_is_a_little_slow_changes_no_verdict(baseline: Baseline, now: Run) -> None:
    """3 % slower as a whole: every case would be suspected, and the anchors take it out."""
    drifted = _machine(now, 0.03)

    assert _codes(drifted, baseline) == set()
    screening = screen_run(Criteria.of(baseline, Policy(), made.PAIRS), made.times(drifted))
    assert counts(screening.verdicts.values()) == {"same": 18}


def test_a_machine_that_is_much_slower_gives_no_verdict(baseline: Baseline, now: Run) -> None:
    """15 % slower as a whole must not hide inside its anchors."""
    assert _codes(_machine(now, 0.15), baseline) == {"machine_slow"}


@pytest.mark.parametrize(
    ("reasons", "codes"),
    [(0x4, set()), (0x1, set()), (0x20, {"throttled"}), (0x40 | 0x4, {"throttled"}), (0x8, {"throttled"})],
)
def test_trouble_is_throttling_and_the_power_cap_is_not(
    baseline: Baseline, now: Run, reasons: int, codes: set[str]
) -> None:
    """Thermal and hardware slowdowns of a single measurement invalidate; power cap and idle do not."""
    first = now.measurements[0]

    def mark(line: Measurement) -> Measurement:
        return msgspec.structs.replace(line, state=DeviceState(reasons=reasons)) if line is first else line

    assert _codes(made.changed(now, mark), baseline) == codes


@pytest.mark.parametrize(
    ("flag", "every", "invalid"),
    [
        ("foreign_process", 1000, True),
        ("ecc_errors", 1000, True),
        ("clock_moved", 10, False),
        ("clock_moved", 2, True),
        ("foreign_load", 3, False),
        ("foreign_load", 1, True),
    ],
)
def test_flags_invalidate_by_their_share(
    baseline: Baseline, now: Run, flag: str, every: int, invalid: bool
) -> None:
    """One foreign process or memory error is enough; clocks and CPU load are borne up to their share."""
    order = {id(line): number for number, line in enumerate(now.measurements)}

    def mark(line: Measurement) -> Measurement:
        if order[id(line)] % every:
            return line
        return msgspec.structs.replace(line, flags=(Flag(code=flag, text="seen"),))

    assert _codes(made.changed(now, mark), baseline) == ({flag} if invalid else set())


def test_one_side_of_an_ab_that_was_disturbed_confirms_nothing() -> None:
    """Eight pairs at 3 % and two far off the other way: the rank test holds back what t would confirm."""
    clear = np.full((1, 10), 0.03) + np.linspace(-0.002, 0.002, 10)
    mixed = np.array([[0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, 0.03, -0.2, -0.3]])
    process = np.array([0.004])

    assert paired(clear, process).slower_p[0] < 0.01
    assert paired(mixed, process).slower_p[0] > 0.05
