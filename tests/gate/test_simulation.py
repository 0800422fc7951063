"""The shipped arithmetic in the simulated world: false alarms and power, beside other tools' rules."""

from __future__ import annotations

import pytest

from tests.gate.simulate import JUDGING, OURS, RIVALS, Outcome, experiment, upper_bound
from tests.gate.world import Sizes

# Other seeds than those of the table in docs/measured/gate-simulation.md, so that the two support each other.
_HERE = JUDGING + 1


@pytest.fixture(scope="module")
def unchanged() -> Outcome:
    """120 runs of unchanged code."""
    return experiment(Sizes(), _HERE, 0.0, 120)


def test_unchanged_code_does_not_fail(unchanged: Outcome) -> None:
    """At most 2 of 120 runs have a false alarm; at the full table's 0.33 % more come once in 150 times."""
    assert unchanged.tallies[OURS].runs_with_false_alarm <= 2


def test_the_rules_of_other_tools_fail_unchanged_code(unchanged: Outcome) -> None:
    """On the same data a mean:5% rule fails most runs, and a U test flags dozens of cases a run."""
    mean, asv, u_test = (unchanged.tallies[name] for name in RIVALS)

    assert mean.alarm_rate > 0.8
    assert asv.alarm_rate > 0.03
    assert u_test.false_alarms / u_test.runs > 40


@pytest.mark.parametrize(("slowdown", "least"), [(0.03, 0.93), (0.05, 0.97)])
def test_slowdowns_are_confirmed(slowdown: float, least: float) -> None:
    """Of 300 slowed cases at least 93 % at 3 % and 97 % at 5 % (96.4 and 99.0 in the full table)."""
    assert experiment(Sizes(), _HERE, slowdown, 30).tallies[OURS].power >= least


def test_few_cases_are_measured_again(unchanged: Outcome) -> None:
    """A run of unchanged code sends fewer than 3 of 200 cases into the A/B."""
    assert sum(unchanged.suspects) / len(unchanged.suspects) < 3


def test_upper_bound_is_the_exact_one() -> None:
    """The rule of three: no event in 300 trials bounds the rate at 1 - 0.05^(1/300); all events at 1."""
    assert upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert upper_bound(7, 7) == 1.0
