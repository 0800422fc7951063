"""The self-test on this CPU: it passes, and what is broken on purpose is found and costs one check."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from quantroof.bench.selftest.process import Answer, Share
from quantroof.bench.selftest.run import SelfTestOptions, _Watch, counts, read_answers
from quantroof.cli.commands.doctor import command
from quantroof.hwprofiles.types import Device
from tests.bench.conftest import FAULTY


def _correct(
    cpu: Device, file: Path, fault: str, limit_s: float = 100.0, check_s: float = 25.0
) -> list[Answer]:
    """The answers of the correctness checks with a faulty kernel among them, by one process at a time."""
    kernels = (f"{FAULTY}:{fault}",)
    options = SelfTestOptions(cpu, file, limit_s, kernels, check_s)
    share = Share(group="correct", device=cpu, kernels=kernels, shares=6)
    watch = _Watch(options, time.monotonic())
    file.touch()
    watch.finish(share)
    return read_answers(file)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("RAISE", "with a second line"),
        ("WRONG", "the output is not what the reference is"),
        ("SEGFAULT", "SIGSEGV"),
    ],
)
def test_a_broken_kernel_fails_its_own_checks_with_the_whole_traceback(
    cpu: Device, tmp_path: Path, fault: str, words: str
) -> None:
    """Every other check of the same processes is right."""
    answers = _correct(cpu, tmp_path / "selftest.jsonl", fault)
    failed = [answer for answer in answers if not answer.ok]

    assert failed
    assert all(answer.check.startswith("faulty.") for answer in failed)
    assert all(words in (answer.error or "") for answer in failed)
    assert any(answer.ok for answer in answers)


def test_a_hung_check_costs_its_time_only(cpu: Device, tmp_path: Path) -> None:
    """It is killed after its patience, and the checks behind it run in a new process."""
    answers = _correct(cpu, tmp_path / "selftest.jsonl", "HANG", check_s=3.0)
    hung = [answer.error for answer in answers if not answer.ok]

    assert hung
    assert set(hung) == {"no answer within 3 s: killed"}
    assert any(answer.ok for answer in answers)


def test_a_group_ends_at_its_time_limit(cpu: Device, tmp_path: Path) -> None:
    """0.75 of a second of a limit of one: nothing is done, and the file has the reason."""
    answers = _correct(cpu, tmp_path / "selftest.jsonl", "RAISE", limit_s=1.0)

    assert [answer.error for answer in answers] == ["the time limit of its group was reached"]


def test_counts_are_per_group() -> None:
    """A failure counts where it belongs."""
    answers = [Answer(group="correct", check="a", ok=True), Answer(group="timers", check="b", ok=False)]

    assert counts(answers)["correct"] == (1, 0)
    assert counts(answers)["timers"] == (0, 1)


def test_the_self_test_of_a_cpu_passes(tmp_path: Path) -> None:
    """Through the command: exit code 0, every group counted, one line of JSON per check."""
    done = CliRunner().invoke(
        command, ["--self-test", "--device", "cpu", "--out", str(tmp_path)], standalone_mode=False
    )

    assert done.exception is None, done.output
    assert done.return_value == 0, done.output
    groups = counts(read_answers(tmp_path / "selftest.jsonl"))
    assert groups["correct"][0] >= 30
    assert all(groups[group][0] for group in ("imports", "timers", "ceilings"))
