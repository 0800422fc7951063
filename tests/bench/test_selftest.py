"""The self-test on this CPU: what is broken on purpose is found and costs one check.

That it passes is a part of tests/scripts/test_gpu_bringup.py.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from quantroof.bench.selftest import process
from quantroof.bench.selftest.checks import _TIMED, _prepared, checks
from quantroof.bench.selftest.process import Answer, Share
from quantroof.bench.selftest.run import SelfTestOptions, _Watch, counts, read_answers
from quantroof.cli.self_test import failure_line
from quantroof.hwprofiles.cpu import cpu_device
from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Skip
from quantroof.kernels.linear import triton_weight_only
from quantroof.kernels.problem import Problem
from quantroof.kernels.program import Target
from tests.bench.conftest import FAULTY
from tests.hwprofiles.boards import h200


def _correct(
    cpu: Device, file: Path, *faults: str, limit_s: float = 100.0, check_s: float = 25.0
) -> list[Answer]:
    """The answers of a few sound checks and one of each faulty kernel, by one process at a time."""
    kernels = tuple(f"{FAULTY}:{fault}" for fault in faults)
    options = SelfTestOptions(cpu, file, limit_s, kernels, check_s)
    ours, each = (len(list(checks("correct", cpu, names))) for names in ((), kernels[:1]))
    shares = each - ours  # a faulty kernel's checks are neighbors: every share has one of them
    share = Share(group="correct", device=cpu, kernels=kernels, shares=shares, begun=_names(cpu))
    watch = _Watch(options, time.monotonic())
    file.touch()
    watch.finish(share)
    return read_answers(file)


def _names(cpu: Device) -> tuple[str, ...]:
    """Every check of our kernels but the last ten."""
    return tuple(check.name for check in checks("correct", cpu, ()))[:-10]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Answer]:
    """By name: a check of each faulty kernel, with sound ones before them."""
    cpu, file = cpu_device(), tmp_path_factory.mktemp("selftest") / "selftest.jsonl"
    answers = _correct(cpu, file, "HANG", "RAISE", "SEGFAULT", "WRONG", check_s=8.0)
    assert "in _segfault" in file.with_suffix(".log").read_text()
    return {answer.check: answer for answer in answers}


@pytest.mark.parametrize(
    ("kernel", "words"),
    [
        ("raise", ("Traceback (most recent call last)", "in _raise", "with a second line")),
        ("wrong", ("Traceback (most recent call last)", "the output is not what the reference is")),
        ("segfault", ("in _segfault", "SIGSEGV")),
        ("hang", ("in _stubborn", "no answer within 8 s: killed")),
    ],
)
def test_a_broken_kernel_fails_its_own_check_with_the_whole_traceback(
    answers: dict[str, Answer], kernel: str, words: tuple[str, ...]
) -> None:
    """Also where the process died or hangs: its Python stack is in the file."""
    (answer,) = (answer for name, answer in answers.items() if name.startswith(f"faulty.{kernel} "))

    assert not answer.ok
    assert all(word in (answer.error or "") for word in words), answer.error
    assert words[-1] in failure_line(answer)


def test_a_process_that_dies_or_hangs_costs_one_check(answers: dict[str, Answer]) -> None:
    """The checks before it are right, and those behind it are made."""
    failed = {name.partition(" ")[0] for name, answer in answers.items() if not answer.ok}

    assert failed == {"faulty.hang", "faulty.raise", "faulty.segfault", "faulty.wrong"}
    assert sum(answer.ok for answer in answers.values()) >= 3


def test_what_ends_the_listing_of_checks_is_a_failure_with_its_traceback(
    cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that cannot be opened fails before any ceiling has a name."""

    def broken(*_: object) -> None:
        raise RuntimeError("no context")

    monkeypatch.setattr(process, "checks", broken)
    (check,) = process._checks(Share(group="ceilings", device=cpu))
    answer = process._answer("ceilings", check)

    assert (check.name, answer.ok) == ("start", False)
    assert "in broken" in (answer.error or "")
    assert not list(process._checks(Share(group="ceilings", device=cpu, begun=("start",))))


def test_a_group_ends_at_its_time_limit(cpu: Device, tmp_path: Path) -> None:
    """0.4 of 0.5 seconds: nothing is done, and the file has the reason."""
    (answer,) = _correct(cpu, tmp_path / "selftest.jsonl", "RAISE", limit_s=0.5)

    assert (answer.error or "").splitlines()[-1] == "the time limit of its group was reached"


def test_counts_are_per_group() -> None:
    """A failure counts where it belongs."""
    answers = [Answer(group="correct", check="a", ok=True), Answer(group="timers", check="b", ok=False)]

    assert counts(answers)["correct"] == (1, 0)
    assert counts(answers)["timers"] == (0, 1)


@pytest.mark.parametrize(("how", "split"), [("burst", "4"), ("unsplit", "1")])
def test_a_gpu_times_a_small_layer_in_parts_and_whole(
    monkeypatch: pytest.MonkeyPatch, how: str, split: str
) -> None:
    """The timers of a GPU name both, so that the first visit shows which is faster."""

    def build(problem: Problem) -> Skip:
        program = triton_weight_only.program(problem.case, Target.of(problem.device))
        return Skip(str(program.constants["SPLIT"]))

    kernel = Kernel("triton.int4", "triton", (), build)
    monkeypatch.setattr(registry, "load", lambda: SimpleNamespace(kernels={kernel.name: kernel}))
    (entry,) = (one for one in _TIMED["gpu"] if one[:2] == (how, kernel.name) and "m128-" in one[2])

    assert _prepared(h200(), how, kernel.name, Case.parse(entry[2])) == Skip(split)
