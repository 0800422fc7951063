"""What commands say to a newcomer: one line for what is alike, and a way on after an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from quantroof.advisor.quantities import milliseconds
from quantroof.analysis.comparison import CaseChange, RunComparison
from quantroof.bench.run import new_job
from quantroof.errors import UsageError
from quantroof.gate.change_points import ChangePoint
from quantroof.gate.history import Trend
from quantroof.hwprofiles.simulated import simulated_devices
from quantroof.records.run import RunOptions
from quantroof.reports.text.comparison_lines import comparison_lines
from quantroof.reports.text.history_lines import trend_lines
from quantroof.reports.text.run_lines import headlines, plan_lines
from tests.commands import call

H100 = "sim:h100-sxm5-80gb"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--device", f"{H100}*2+fan@0"), "unknown fault 'fan'"),
        (("run", "--device", f"{H100}*2+slow"), "+FAULT@INDEX: INDEX is 0 to 1, FAULT one of "),
        (("run", "--device", f"{H100}+slow@1"), "INDEX is 0, FAULT one of "),
        (("hardware", "derive", "--sms", "46"), "derive: needs --compute-capability, --clock-mhz"),
        (("hardware", "show", "cuda:0"), "cuda:0: no NVIDIA driver"),
        (("quality", "memory", "llama-3.1-70b"), "quantroof advise --model llama-3.1-70b"),
        (("quality", "memory", "nowhere"), "nowhere: no such file or directory"),
        (("advise", "--model", "llama-3.1-8b"), "advise: needs a GPU or a run"),
        (("advise", "--gpu", "l4"), "advise: needs a model"),
    ],
)
def test_an_error_says_what_where_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...], words: str,
) -> None:  # fmt: skip
    """One line, with the option or the file and a hint in parentheses at its end."""
    monkeypatch.chdir(tmp_path)
    assert call(*arguments) in (2, 3)
    (line,) = capsys.readouterr().err.splitlines()

    assert words in line
    assert line.endswith(")")


def test_devices_that_measure_the_same_share_a_line() -> None:
    """Eight H100 and an H200, which measures the same cases, are two lines of a run and of its plan."""
    devices = (*simulated_devices("h100-sxm5-80gb*8"), *simulated_devices("h200-sxm"))
    job = new_job(RunOptions(suite="quick"), devices, ("quantroof",))

    many, one = headlines(job)
    assert many.startswith(f"{H100} and 7 more SIMULATED NVIDIA H100")
    assert " measurements on each, about " in many
    assert "each" not in one
    assert "more" not in one
    assert [line for line in plan_lines(job) if line.startswith("sim:")] == [many, one]


def test_processes_of_a_device_share_a_line_and_their_time_is_one_sum() -> None:
    """Three processes are not three devices."""
    once, thrice = (
        headlines(new_job(RunOptions(suite="quick", processes=n), simulated_devices("l4"), ("quantroof",)))
        for n in (1, 3)
    )

    assert [" in each of 3 processes, about " in line for line in thrice] == [True]
    assert [_minutes(line) > 2 * _minutes(one) for line, one in zip(thrice, once, strict=True)] == [True]


def _minutes(line: str) -> float:
    return float(line.partition(", about ")[2].partition(" min")[0])


def _trend(name: str, *relative: float, moved: bool = False) -> Trend:
    changes = (ChangePoint(index=1, change=0.03, p=0.001),) if moved else ()
    runs = tuple(map(str, range(len(relative))))
    return Trend(
        device="H100", suite="quick", mode="burst", key=(name, "torch.linear"), anchored=True, runs=runs,
        started_at=runs, git=(None,) * len(runs), relative=np.array(relative), ns=np.array(relative),
        changes=changes,
    )  # fmt: skip


def test_a_history_shows_what_moved_and_what_changed_most_first() -> None:
    """A change point comes before a larger change that is noise; faster and slower count alike."""
    found = [
        _trend("still", 1.0),
        _trend("slower", 1.0, 1.1),
        _trend("faster", 1.0, 0.8),
        _trend("moved", 1.0, 1.03, moved=True),
    ]

    _, *rows, more = trend_lines(found, most=3)
    assert [row.split("H100, ")[1].split(",")[0] for row in rows] == ["moved", "faster", "slower"]
    assert more == "1 more: --all shows them"
    assert len(trend_lines(found)) == 5


@pytest.mark.parametrize(("count", "lines"), [(3, 3), (4, 1)])
def test_a_cause_of_many_cases_is_one_line_above_them(count: int, lines: int) -> None:
    """Up to three cases have it beside them."""
    entries = tuple(
        CaseChange(device="cuda:0", case=f"case {i}", kernel="torch.linear", verdict="undecided", base=None,
                   now=None, ratio=None, causes=("driver 1 -> 2",))
        for i in range(count)
    )  # fmt: skip
    compared = RunComparison("old", "new", 0.05, entries, (), None)

    printed = list(comparison_lines(compared, entries))
    assert sum("driver 1 -> 2" in line for line in printed) == lines
    assert (f"{count} cases: driver 1 -> 2" in printed) is (count > 3)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("50", 0.05), ("1", 0.001), ("50ms", 0.05), ("0.5s", 0.5), ("0.99", None), ("0", None)],
)
def test_a_bare_latency_counts_milliseconds(text: str, expected: float | None) -> None:
    """`--latency 50` is 50 ms; below 1 nobody knows whether seconds were meant."""
    if expected is None:
        with pytest.raises(UsageError, match="not a positive time like 50ms"):
            milliseconds(text, "--latency")
    else:
        assert milliseconds(text, "--latency") == pytest.approx(expected)


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        (("help",), "Usage: quantroof [OPTIONS] COMMAND"),
        (("help", "gate", "check"), "Usage: quantroof gate check"),
        (("gate", "help", "init"), "Usage: quantroof gate init"),
    ],
)
def test_help_is_a_word_as_well(
    capsys: pytest.CaptureFixture[str], typed: tuple[str, ...], shown: str
) -> None:
    """`quantroof help run` is what somebody types who has read nothing."""
    assert call(*typed) == 0

    assert capsys.readouterr().out.startswith(shown)
