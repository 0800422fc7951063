"""Second measurements: two looks of an A/B, and what a suspicion of faster may cost."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantroof.errors import ExitCode
from quantroof.gate.baseline import Baseline
from quantroof.gate.criteria import Criteria
from quantroof.gate.policy import Policy
from quantroof.gate.remeasure import Remeasurement
from quantroof.gate.second import (
    decided_by_ab,
    verdicts_after_ab,
    verdicts_after_remeasuring,
    verdicts_unmeasured,
)
from quantroof.gate.sides import Side
from quantroof.gate.verdicts import exit_code
from quantroof.records.directory import Run
from tests.gate import made
from tests.gate.test_judge import _KEY, _criteria, _pairs, _screened, _slowed


@pytest.mark.parametrize("measured", ["pairs", "no pairs", "again", "nothing"])
def test_a_suspicion_of_faster_never_stays_open(baseline: Baseline, now: Run, measured: str) -> None:
    """A case that looked 5 % faster passes where no second measurement confirms it."""
    criteria, screening = _criteria(baseline), _screened(baseline, _slowed(now, -0.05))
    verdicts = {
        "pairs": lambda: verdicts_after_ab(criteria, screening, [_KEY], {_KEY: _pairs(0.0, 0.05)}),
        "no pairs": lambda: verdicts_after_ab(criteria, screening, [_KEY], {}),
        "again": lambda: verdicts_after_remeasuring(criteria, screening, [_KEY], made.times(now)),
        "nothing": lambda: verdicts_unmeasured(screening),
    }[measured]()

    assert screening.slow == {_KEY: False}
    assert verdicts[_KEY].verdict == "same"
    assert exit_code(verdicts.values(), allow_undecided=False) is ExitCode.OK


@pytest.mark.parametrize(("more", "verdict"), [(0.0, "same"), (0.02, "slower"), (0.008, "undecided")])
def test_what_the_first_pairs_leave_open_is_measured_in_more(
    baseline: Baseline, now: Run, more: float, verdict: str
) -> None:
    """Wide pairs about 2 % decide nothing; twice as many more are asked for, and all of them decide."""
    criteria, screening = _criteria(baseline), _screened(baseline, _slowed(now, 0.05))
    asked: list[int] = []

    def measure(keys: list[tuple[str, str]], pairs: int) -> dict[tuple[str, str], np.ndarray]:
        asked.append(pairs)
        spread = 0.03 if len(asked) == 1 or verdict == "undecided" else 0.004
        return {key: _pairs(0.02 if len(asked) == 1 else more, spread, pairs) for key in keys}

    result = decided_by_ab(criteria, screening, [_KEY], measure)[_KEY]

    assert asked == [made.PAIRS, 2 * made.PAIRS]
    assert result.verdict == verdict
    assert "in 30 pairs" in result.reason


def test_the_most_pairs_that_can_be_asked_for_have_their_further_ones(baseline: Baseline, now: Run) -> None:
    """40 pairs and 80 more: the exact signed-rank test has all 120, and confirms 5 %."""
    criteria = Criteria.of(baseline, Policy(), 40)
    screening = _screened(baseline, _slowed(now, 0.05))

    def measure(keys: list[tuple[str, str]], pairs: int) -> dict[tuple[str, str], np.ndarray]:
        center, spread = (0.02, 0.09) if pairs == 40 else (0.05, 0.004)
        return {key: _pairs(center, spread, pairs) for key in keys}

    result = decided_by_ab(criteria, screening, [_KEY], measure)[_KEY]

    assert result.verdict == "slower"
    assert "in 120 pairs" in result.reason


@pytest.mark.long
def test_further_pairs_go_on_where_the_first_ended(now: Run, tmp_path: Path) -> None:
    """A B B A over both looks, in processes of their own names, each with its own data."""
    words: list[tuple[str, list[str]]] = []

    def start(side: Side, options: list[str]) -> None:
        words.append((side.name, options))
        made.simulated(tmp_path / "done" / str(len(words)), len(words), processes=1)
        out = Path(options[options.index("--out") + 1])
        out.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "done" / str(len(words))).rename(out)

    remeasurement = Remeasurement(made.times(now), tmp_path / "second", lambda _text: None, start)
    base, ours = (Side(name, "python", tmp_path, tmp_path, (), {}, {}, {}) for name in ("base", "candidate"))
    looks = [remeasurement.pairs(base, ours, [_KEY], pairs) for pairs in (1, 2)]

    assert [len(look[_KEY]) for look in looks] == [1, 2]
    assert [name for name, _ in words] == ["base", "candidate", "candidate", "base", "base", "candidate"]
    for option in ("--out", "--seed"):
        assert len({options[options.index(option) + 1] for _, options in words}) == 6
