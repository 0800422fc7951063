"""Runs that a signal ends: what was measured is kept, and a resume measures the rest once."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from quantroof.records.directory import Run, read_run
from tests.cli.processes import QUICKLY, ROOT, SUITE, command, quantroof


def _interrupted(
    suite: Path, out: Path, number: signal.Signals, after_lines: int, delay_s: float = 0.0
) -> int:
    """Start a run, send a signal once some lines are written, and return its exit code."""
    process = subprocess.Popen(
        # Hot: rotating past a server's L3 touches a gigabyte in every new worker, and is not the point here.
        # A shell that starts the tests in the background lets its children ignore SIGINT: not this one.
        [
            "env",
            "--default-signal=INT",
            *command("run", "--suite", suite, *QUICKLY, "--out", out, "--quiet"),
        ],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    file, deadline = out / "run.jsonl", time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if file.exists() and file.read_bytes().count(b"\n") > after_lines:
            break
        time.sleep(0.005)
    time.sleep(delay_s)
    process.send_signal(number)
    return process.wait(timeout=30)


def _resumed(out: Path) -> Run:
    done = quantroof("run", "--resume", out, "--quiet")
    assert done.returncode == 0, done.stderr
    return read_run(out)


def _assert_each_planned_line_once(run: Run) -> None:
    assert run.complete
    assert Counter(m.key for m in run.measurements) == Counter(run.info.plan)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupt_saves_and_resume_finishes_without_repeating(
    suite: Path, tmp_path: Path, number: signal.Signals
) -> None:
    """Exit code 130, a readable run that says interrupted, and a resume that measures the rest only."""
    suite.write_text(
        SUITE.replace("seconds_per_case = 0.05", "seconds_per_case = 0.4").replace("0.5", "0.0001")
    )
    code = _interrupted(suite, tmp_path / "run", number, after_lines=2)
    first = read_run(tmp_path / "run")

    assert code == 130
    assert first.ends[-1].outcome == "interrupted"
    assert 2 <= len(first.measurements) < len(first.info.plan)
    finished = _resumed(tmp_path / "run")
    assert finished.measurements[: len(first.measurements)] == first.measurements
    _assert_each_planned_line_once(finished)


# Killed 76 ms after the third line, and 9 ms after the header; scripts/acceptance has the other moments.
_QUICK = (0, 2)
_MOMENTS = [seed if seed in _QUICK else pytest.param(seed, marks=pytest.mark.slow) for seed in range(50)]


@pytest.mark.parametrize("seed", _MOMENTS)
def test_killed_at_a_random_moment_a_run_stays_readable_and_resumable(
    suite: Path, tmp_path: Path, seed: int
) -> None:
    """SIGKILL at a random moment: nothing whole is lost, nothing is measured twice."""
    rng = random.Random(seed)
    code = _interrupted(
        suite, tmp_path / "run", signal.SIGKILL, after_lines=rng.randrange(6), delay_s=rng.random() * 0.1
    )
    assert code in (-signal.SIGKILL, 0)
    if code == 0:
        return  # the run was quicker than the signal
    before = read_run(tmp_path / "run").measurements
    finished = _resumed(tmp_path / "run")
    assert finished.measurements[: len(before)] == before
    _assert_each_planned_line_once(finished)
