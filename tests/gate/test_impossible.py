"""Times above the bounds of their device: never faster, never in a baseline, and never a passed floor."""

from __future__ import annotations

from pathlib import Path

import pytest

from quantroof.analysis.case_time import median_ns
from quantroof.analysis.guard import ROOF_NOISE
from quantroof.analysis.roofs import measured_roofs
from quantroof.cli.main import main
from quantroof.errors import ExitCode, UsageError
from quantroof.gate.baseline import Baseline
from quantroof.gate.criteria import Criteria
from quantroof.gate.floors import apply_floors
from quantroof.gate.judge import screen_run
from quantroof.gate.learning import learn_baseline, left_out
from quantroof.gate.policy import Policy
from quantroof.gate.verdicts import CaseVerdict, exit_code
from quantroof.records.directory import Run
from quantroof.records.lines import Measurement
from tests.builders import write
from tests.gate import made

_KEY = ("gemm/bf16-bf16-bf16/m16-n4096-k4096", "torch.linear")
_NAME = " ".join(_KEY)


def _at(run: Run, share: float, processes: int = 5) -> Run:
    """The run with one case at a multiple of its measured roof, in some of its processes."""
    roofs = measured_roofs(run.info.devices[0].id, run.ceilings)

    def moved(line: Measurement) -> Measurement:
        if (line.case, line.kernel) != _KEY or line.timing is None or line.process >= processes:
            return line
        seconds = roofs.seconds(line.parsed_case)
        assert seconds is not None
        return made.slower(line, seconds * 1e9 / share / median_ns(line.timing) - 1)

    return made.changed(run, moved)


def _verdict(baseline: Baseline, run: Run) -> CaseVerdict:
    return screen_run(Criteria.of(baseline, Policy(), made.PAIRS), made.times(run)).verdicts[_KEY]


@pytest.mark.parametrize(("share", "code"), [(1 + ROOF_NOISE + 0.01, "above_roof"), (1000.0, "impossible")])
def test_a_time_above_its_bounds_is_not_faster(baseline: Baseline, now: Run, share: float, code: str) -> None:
    """6 % above the roof and 1,000 times: the case is not comparable, with the guard's sentence."""
    result = _verdict(baseline, _at(now, share))

    assert (result.verdict, result.reason.partition(":")[0]) == ("not comparable", code)
    assert exit_code([result], allow_undecided=False) is ExitCode.UNDECIDED


def test_a_time_at_its_roof_is_a_suspect(baseline: Baseline, now: Run) -> None:
    """4 % above the measured roof is within the noise of both: measured again as any faster case."""
    assert _verdict(baseline, _at(now, 1 + ROOF_NOISE - 0.01)).verdict == "undecided"


@pytest.mark.parametrize(("processes", "verdict"), [(2, "same"), (3, "not comparable")])
def test_most_processes_above_the_roof_decide(
    baseline: Baseline, now: Run, processes: int, verdict: str
) -> None:
    """Two of five processes above the roof are noise, three are not."""
    result = _verdict(baseline, _at(now, 1.06, processes))

    assert (result.verdict == "not comparable") is (verdict == "not comparable")


@pytest.mark.parametrize("share", [1 + ROOF_NOISE + 0.01, 1000.0])
def test_a_baseline_is_never_learned_from_it(history: list[Run], share: float) -> None:
    """The case is left out of the baseline with its reason, and the others are learned."""
    times = [made.times(_at(run, share)) for run in history]
    baseline = learn_baseline(times, made.PAIRS)

    assert _NAME not in baseline.cases
    assert len(baseline.cases) == len(made.learned(history).cases) - 1
    assert list(left_out(times, baseline)) == [_NAME]
    assert _verdict(baseline, _at(history[0], share)).verdict == ("new" if share < 2 else "not comparable")


def test_honest_runs_among_cheating_ones_still_teach(history: list[Run]) -> None:
    """Five honest runs of ten are a baseline, and its center is theirs."""
    mixed = [made.times(_at(run, 1000.0) if i % 2 else run) for i, run in enumerate(history)]

    assert learn_baseline(mixed, made.PAIRS).cases[_NAME].ns == pytest.approx(
        made.learned(history).cases[_NAME].ns, rel=0.02
    )


def test_an_impossible_time_passes_no_floor(baseline: Baseline, now: Run) -> None:
    """A floor asks for the best kernel below the roof; where only the impossible one is left, it has none."""
    times = made.times(_at(now, 1000.0))
    criteria = Criteria.of(baseline, Policy(), made.PAIRS)
    verdicts = screen_run(criteria, times).verdicts
    floored = apply_floors(verdicts, times, {"bf16": 0.99}, criteria)

    assert floored[_KEY].verdict == "not comparable"
    with pytest.raises(UsageError, match="no case of that format"):
        apply_floors(verdicts, times, {"fp8-w8a8": 0.5}, criteria)


def test_the_commands_refuse_it(
    baseline_file: Path, history: list[Run], now: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`gate check` exits 4 and names the guard; `baseline update` names the case that it leaves out."""
    cheat = write(_at(now, 1000.0), tmp_path / "cheat")
    runs = [write(_at(run, 1000.0), tmp_path / f"run-{i}") for i, run in enumerate(history[:5])]
    with pytest.raises(SystemExit) as ended:
        main(["gate", "check", str(cheat), "--baseline", str(baseline_file), "--no-measure"])
    checked = capsys.readouterr().out
    with pytest.raises(SystemExit) as updated:
        main(["gate", "baseline", "update", *map(str, runs), "--out", str(tmp_path / "new.json")])

    assert (ended.value.code, updated.value.code or 0) == (4, 0)
    assert "not comparable" in checked
    assert "impossible: " in checked
    assert f"left out: {_NAME}: impossible: " in capsys.readouterr().err
