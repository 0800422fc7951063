"""History: trends on anchored values, change points, the Parquet store, the plot."""

from __future__ import annotations

import html
import json
from pathlib import Path

import msgspec
import numpy as np
import pytest

from quantroof.cli.main import main
from quantroof.gate.change_points import change_points
from quantroof.gate.history import Trend, instant, trends
from quantroof.gate.steps import NOT_HERE, steps
from quantroof.records.directory import Run
from quantroof.records.lines import Anchor, Measurement
from tests.analysis.test_trust import loaded
from tests.builders import write
from tests.gate import made

_KEY = ("gemm/bf16-bf16-bf16/m16-n4096-k4096", "torch.linear")


def _machine(run: Run, share: float) -> Run:
    """The run on a machine that is slower as a whole: cases and anchors alike."""
    drifted = made.changed(run, lambda line: made.slower(line, share))
    drifted.info = run.info
    drifted.anchors = [_slower_anchor(anchor, share) for anchor in run.anchors]
    return drifted


def _slower_anchor(anchor: Anchor, share: float) -> Anchor:
    assert anchor.timing is not None
    samples = tuple(value * (1 + share) for value in anchor.timing.samples_ns)
    return msgspec.structs.replace(anchor, timing=msgspec.structs.replace(anchor.timing, samples_ns=samples))


def _dated(run: Run, day: int) -> Run:
    run.info = msgspec.structs.replace(run.info, started_at=f"2026-11-{day:02d}T02:00:00+00:00")
    return run


def _case(found: list[Trend]) -> Trend:
    return next(trend for trend in found if trend.key == _KEY)


def test_a_step_is_found_where_it_happened() -> None:
    """3 % from the 8th of 14 values on, with 0.5 % noise: one change point, there, of that size."""
    random = np.random.default_rng(11)
    values = random.normal(0, 0.005, 14)
    values[7:] += np.log1p(0.03)
    found = change_points(values)

    assert [point.index for point in found] == [7]
    assert found[0].change == pytest.approx(0.03, abs=0.006)


def test_two_steps_are_two_change_points() -> None:
    """Up and down again: both are found, in order."""
    values = np.random.default_rng(5).normal(0, 0.003, 24)
    values[8:16] += 0.05

    assert [point.index for point in change_points(values)] == [8, 16]


def test_noise_alone_hardly_ever_changes() -> None:
    """Of 500 series of 30 values without a step at most 2 have a change point."""
    random = np.random.default_rng(3)

    assert sum(bool(change_points(random.normal(0, 0.01, 30))) for _ in range(500)) <= 2


def test_one_outlier_is_no_change() -> None:
    """A single value 10 % off is not a level."""
    values = np.random.default_rng(7).normal(0, 0.003, 20)
    values[10] += 0.10

    assert change_points(values) == ()


def test_a_slow_case_shows_and_a_slow_machine_does_not(history: list[Run]) -> None:
    """A case slowed by 4 % from the sixth run on has its change point; a machine slowed by 10 % none."""

    def slow(line: Measurement) -> Measurement:
        return made.slower(line, 0.04) if (line.case, line.kernel) == _KEY else line

    case = [made.changed(run, slow) if i >= 5 else run for i, run in enumerate(history)]
    machine = [_machine(run, 0.10) if i >= 5 else run for i, run in enumerate(history)]
    found = trends([made.times(run) for run in (_dated(r, i + 1) for i, r in enumerate(case))])
    same = trends([made.times(run) for run in (_dated(r, i + 1) for i, r in enumerate(machine))])

    assert [point.index for point in _case(found).changes] == [5]
    assert [trend for trend in found if trend.changes] == [_case(found)]
    assert [trend for trend in same if trend.changes] == []
    assert _case(same).ns[-1] / _case(same).ns[0] == pytest.approx(1.10, abs=0.02)


@pytest.mark.parametrize("share", [0.03, 0.3])
def test_a_step_among_a_hundred_runs_is_placed(share: float) -> None:
    """The step at run 60 of 100 is found there and alone, however far from chance it is."""
    values = np.random.default_rng(2).normal(0, 0.004, 100)
    values[60:] += np.log1p(share)

    assert [point.index for point in change_points(values)] == [60]


def _int4_slower(run: Run, day: int, *, hashes: bool) -> Run:
    """The run of a day; from the 6th on the int4 cases are 6 % slower, with other sources or without."""
    late = day > 5
    changed = made.changed(
        run, lambda line: made.slower(line, 0.06) if late and "int4" in line.case else line
    )
    kernels = dict.fromkeys((line.kernel for line in run.measurements), "before")
    if late and hashes:
        kernels.update({line.kernel: "after" for line in run.measurements if "int4" in line.case})
    changed.info = msgspec.structs.replace(changed.info, kernel_sources=kernels, git=f"{day:040d}")
    return _dated(changed, day)


@pytest.mark.parametrize(
    ("hashes", "cause"),
    [(True, "changed: the code, not the device"), (False, "no cause found")],
    ids=["code", "unexplained"],
)
def test_a_step_has_one_sentence_with_its_cause(
    history: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str], *, hashes: bool, cause: str
) -> None:
    """int4 is 6 % slower from the sixth run on: terminal, JSON and page name run, group and cause."""
    runs = [_int4_slower(run, day, hashes=hashes) for day, run in enumerate(history, 1)]
    folders = [str(write(run, tmp_path / f"run-{i}")) for i, run in enumerate(runs)]
    plot = tmp_path / "trends.html"
    with pytest.raises(SystemExit) as ended:
        main(["history", *folders, "--plot", str(plot)])
    first, *_ = capsys.readouterr().out.splitlines()
    with pytest.raises(SystemExit):
        main(["history", *folders, "--json"])
    (step,) = json.loads(capsys.readouterr().out)["steps"]

    assert not ended.value.code
    assert f"from {runs[5].info.run_id}, 000000000000: " in first
    assert "int4-w4a16 " in step["summary"]
    assert "slower" in step["summary"]
    assert " unchanged" in step["summary"]
    assert step["summary"].endswith(cause)
    assert first.endswith(step["summary"])
    page = plot.read_text()
    assert f"<li>{html.escape(first[first.index('from ') :])}</li>" in page
    moved, _, steady = page.partition("<details>")
    assert moved.count("<figure>") == moved.count('class="moved"') >= 1  # what moved comes first
    assert steady.count("<figure>") >= 1
    assert 'class="moved"' not in steady
    assert (step["before"], step["run"]) == (runs[4].info.run_id, runs[5].info.run_id)


def test_a_step_of_stored_runs_has_no_cause(history: list[Run], tmp_path: Path) -> None:
    """The store has times and no evidence: the sentence gives the size and names what is lacking."""
    times = [made.times(_int4_slower(run, day, hashes=True)) for day, run in enumerate(history, 1)]
    (step,) = steps(trends(times, tmp_path / "history.parquet"), times[6:])

    assert step.sentence.endswith(NOT_HERE)


def test_without_a_change_point_history_says_so_and_suites_are_told_apart(
    history: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """--changes prints one sentence where nothing moved; a case of two suites has its suite in each row."""
    other = made.changed(history[1], lambda line: line)
    other.info = msgspec.structs.replace(other.info, suite="other")
    for i, run in enumerate((history[0], other)):
        write(run, tmp_path / str(i))
    printed = []
    for options in (["--changes"], []):
        with pytest.raises(SystemExit):
            main(["history", str(tmp_path), *options])
        printed.append(capsys.readouterr().out.splitlines())

    assert printed[0] == ["no case has a change point"]
    assert all(f" of suite {run.info.suite}" in str(printed[1]) for run in (history[0], other))


def test_a_disturbed_run_is_left_out(
    history: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run that may not be used moves no trend; it costs a line with its counts."""
    busy = made.changed(history[9], loaded)
    folders = [write(run, tmp_path / str(i)) for i, run in enumerate((*history[:3], busy))]
    with pytest.raises(SystemExit):
        main(["history", *map(str, folders), "--json"])
    printed = capsys.readouterr()

    assert {len(trend["runs"]) for trend in json.loads(printed.out)["trends"]} == {3}
    assert "other processes kept 1.5 cores busy; do not use" in printed.err


def test_runs_of_another_method_are_another_trend(history: list[Run]) -> None:
    """A run without anchors, and one with hot weights, never continue the trend of cold anchored ones."""
    plain, hot = (made.changed(history[0], lambda line: line) for _ in range(2))
    plain.anchors = []
    plain.info = msgspec.structs.replace(plain.info, run_id="plain")
    options = msgspec.structs.replace(hot.info.options, cache="hot")
    hot.info = msgspec.structs.replace(hot.info, run_id="hot", options=options)
    found = trends([made.times(run) for run in (*history[:4], plain, hot)])

    lengths = {(t.mode, t.anchored): len(t.runs) for t in found if t.key == _KEY}
    assert lengths == {("burst", True): 4, ("burst", False): 1, ("burst hot", True): 1}
    assert all(abs(t.relative[-1] - 1) < 0.05 for t in found)


def test_all_runs_of_a_trend_follow_one_anchor(history: list[Run]) -> None:
    """A roof that was measured anew and makes a case follow the other anchor does not move its trend."""
    moved = made.changed(history[1], lambda line: line)
    moved.ceilings = [msgspec.structs.replace(c, bytes_moved=(c.bytes_moved or 0) // 10_000 or None)
                      if c.quantity == "bandwidth" else c for c in moved.ceilings]  # fmt: skip
    found = trends([made.times(history[0]), made.times(_dated(moved, 28))])

    assert all(abs(t.relative[-1] - 1) < 0.05 for t in found)


def test_a_broken_run_is_left_out_with_a_line(
    history: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another run's half-written file costs a line on stderr; where no run is usable, exit 2."""
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "run.jsonl").write_text("{}\n")
    with pytest.raises(SystemExit) as ended:
        main(["history", str(history[0].path.parent.parent), str(broken)])
    told = capsys.readouterr()

    assert not ended.value.code
    assert told.err.startswith(f"left out: {broken}/run.jsonl: not a quantroof run")
    assert "  10  " in told.out
    with pytest.raises(SystemExit) as ended:
        main(["history", str(broken)])
    assert ended.value.code == 2
    assert "none of the runs can be used" in capsys.readouterr().err


def test_a_store_keeps_runs_once(
    history: list[Run], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same folder twice is the same history; without folders the store speaks for itself."""
    store, plot = tmp_path / "history.parquet", tmp_path / "trends.html"
    folder = history[0].path.parent.parent
    documents = []
    for arguments in ([folder], [folder, "--plot", plot], []):
        with pytest.raises(SystemExit) as ended:
            main(["history", *map(str, arguments), "--store", str(store), "--json"])
        assert not ended.value.code
        documents.append(json.loads(capsys.readouterr().out))

    assert documents[0] == documents[1] == documents[2]
    assert {len(trend["runs"]) for trend in documents[0]["trends"]} == {10}
    assert "<strong>SIMULATED</strong> No device was measured" in plot.read_text()


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"no parquet", "not a history that this version reads"), (None, "no runs to read")],
)
def test_a_store_that_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: bytes | None, words: str
) -> None:
    """Garbage and nothing at all: exit 2 with the reason."""
    store = tmp_path / "history.parquet"
    if content is not None:
        store.write_bytes(content)
    with pytest.raises(SystemExit) as ended:
        main(["history", "--store", str(store)])

    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_runs_sort_by_instant_not_by_text() -> None:
    """00:30 in Singapore is half an hour before 17:00 of the day before in London."""
    earlier, later = instant("2026-08-19T00:30:00+08:00"), instant("2026-08-18T17:00:00+00:00")

    assert earlier == "2026-08-18T16:30:00+00:00" < later
    assert instant("some day") == "some day"
