"""The shipped gate in simulated worlds: false alarms, open verdicts and power, beside other tools' rules."""

from __future__ import annotations

import pytest

from quantroof.errors import ExitCode
from tests.gate.bounds import upper_bound
from tests.gate.simulate import DETECTABLE, JUDGING, OURS, RIVALS, Experiment, experiment
from tests.gate.world import WORLDS

# Other seeds than those of docs/measured/gate-simulation.md, so that the two support each other.
_HERE = (JUDGING + 1,)


@pytest.fixture(scope="module")
def unchanged() -> Experiment:
    """48 checks of unchanged code."""
    return experiment(WORLDS["plain"], _HERE, 0.0, 2)


def test_unchanged_code_passes(unchanged: Experiment) -> None:
    """No run fails, with a base build or without, and at most 2 of 48 are undecided with one."""
    assert unchanged.tallies[OURS].runs_with_false_alarm == 0
    assert unchanged.share(lambda o: o.code_without_base is ExitCode.FINDING) == 0
    assert sum(o.code is ExitCode.UNDECIDED for o in unchanged.outcomes) <= 2


def test_few_cases_are_measured_again(unchanged: Experiment) -> None:
    """A run of unchanged code sends fewer than 2.5 of 200 cases into the A/B."""
    assert unchanged.mean(lambda o: o.suspects) < 2.5


def test_the_rules_of_other_tools_fail_unchanged_code(unchanged: Experiment) -> None:
    """On the same data all but asv fail most runs."""
    alarms = {name: unchanged.tallies[name].alarm_rate for name in RIVALS}

    assert alarms.pop("asv, factor 1.1") > 0
    assert min(alarms.values()) > 0.3


@pytest.mark.long
@pytest.mark.parametrize(
    ("world", "slowdown", "least"),
    [("plain", 0.03, 0.97), ("noisy", 0.03, 0.94), ("sticky", 0.03, 0.93), ("plain", DETECTABLE, 0.90)],
)
def test_slowdowns_are_confirmed(world: str, slowdown: float, least: float) -> None:
    """Of 240 slowed cases those shares at least; a case that claims a size is slowed by just that."""
    found = experiment(WORLDS[world], _HERE, slowdown, 1, others=False).tallies[OURS].power

    assert found >= least


def test_upper_bound_is_the_exact_one() -> None:
    """The rule of three: no event in 300 trials bounds the rate at 1 - 0.05^(1/300); all events at 1."""
    assert upper_bound(0, 300) == pytest.approx(1 - 0.05 ** (1 / 300))
    assert upper_bound(7, 7) == 1.0
