"""A kernel that forks, and lets the copy of the worker return from its call, costs its own time only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from quantroof.bench.workers.guard import Guard
from quantroof.bench.workers.parent import COPY_RETURNED
from quantroof.records.directory import read_run
from tests.cli.processes import QUICKLY, quantroof, tiny_suite

_KERNEL = """import os
from quantroof.kernels.kernel import Kernel, Prepared
forked = []
def build(problem):
    x = problem.arriving
    def call(w):
        if not forked:
            forked.append(1)
            os.fork()
        return x @ w.T
    return Prepared((problem.weight.codes,), call)
FORKS = Kernel("mine.forks", "mine", ("fp32",), build)
"""


def _suite(folder: Path) -> Path:
    (folder / "tiny.toml").write_text(tiny_suite("fp32", m="4"))
    return folder / "tiny.toml"


def _ended_child(code: int) -> None:
    """A child that has ended and that nobody has waited for."""
    child = os.fork()
    if child == 0:
        os._exit(code)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)


@pytest.mark.parametrize(
    ("code", "found"),
    [
        (COPY_RETURNED, "it changed the process that measured it: a copy of it went on measuring"),
        (0, None),
        (1, None),
    ],
)
def test_a_copy_that_returned_is_found_after_it_ended(code: int, found: str | None) -> None:
    """It may end before anyone looks: its exit code tells it from a tool that a kernel asked something."""
    before = Guard(None)
    _ended_child(code)

    assert before.changed_worker() == found


@pytest.mark.long
def test_both_sides_of_a_fork_give_one_record(tmp_path: Path) -> None:
    """The guilty kernel is incorrect, its neighbor has a time, and each planned line is there once."""
    kernel = tmp_path / "forks.py"
    kernel.write_text(_KERNEL)
    out = tmp_path / "run"
    done = quantroof(
        "run", "--suite", _suite(tmp_path), *QUICKLY, "--out", out, "--kernel", f"{kernel}:FORKS",
        "--provider", "torch", "--quiet",
    )  # fmt: skip
    run = read_run(out)
    status = {line.kernel: line.status for line in run.measurements}

    assert done.returncode == 1, done.stderr
    assert run.complete
    assert len(run.measurements) == len(run.info.plan) == len(status)
    assert status == {"torch.linear": "ok", "mine.forks": "incorrect"}
