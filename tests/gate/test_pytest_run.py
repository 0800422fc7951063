"""What pytest timed, as runs of the gate: sessions are processes, and suspects stay undecided."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from msgspec.structs import replace

from quantroof import pytest_run
from quantroof.errors import ExitCode, UsageError
from quantroof.gate.check import CheckOptions, Report, check
from quantroof.gate.learning import learn_baseline
from quantroof.gate.policy import Policy
from quantroof.gate.times import RunTimes, run_times
from quantroof.hwprofiles.types import Device
from quantroof.pytest_run import PytestRun
from quantroof.records.directory import read_run
from quantroof.records.lines import Anchor, AnchorName, DeviceState, Moment
from tests.builders import gpu_device, timing
from tests.gate import made
from tests.gate.test_pytest_plugin import _pytest

_SOURCE = random.Random(5)
_TEST = """
import torch


def test_product(gpu_benchmark):
    gpu_benchmark(torch.mm, torch.randn(8, 64), torch.randn(64, 64), seconds=0.05)
"""


@pytest.fixture(autouse=True)
def _quick_anchors(monkeypatch: pytest.MonkeyPatch) -> None:
    def anchors(bench: Any, moment: Moment) -> Iterator[Anchor]:
        times: dict[AnchorName, float] = {"gemm": 1.4e6, "copy": 7e5}
        for name, ns in times.items():
            timed = _timing(ns, 0.0005)
            yield Anchor(device=bench.device.id, name=name, moment=moment, status="ok", timing=timed)

    monkeypatch.setattr(pytest_run, "measure_anchors", anchors)


def _timing(ns: float, spread: float) -> Any:
    return timing(ns * (1 + _SOURCE.gauss(0, spread)), count=10, spread=0.001)


def _session(directory: Path, device: Device | None = None, slower: float = 1.0, times: int = 1) -> None:
    """One pytest session that times two functions."""
    run = PytestRun(directory, SimpleNamespace(device=device or gpu_device()))  # type: ignore[arg-type]
    tensors = (torch.zeros(64, 64, dtype=torch.bfloat16),)
    try:
        for function, ns in (("mm", 2e4 * slower), ("relu", 3e4)) * times:
            run.add(f"test_{function}[large, 1]", function, tensors, (_timing(ns, 0.002), DeviceState(), ()))
    finally:
        run.end(complete=True)


def _collected(directory: Path, slower: float = 1.0) -> RunTimes:
    for _ in range(5):
        _session(directory, slower=slower)
    return run_times(read_run(directory))


def _checked(folder: Path, slower: float) -> Report:
    runs = [_collected(folder / f"run-{number}") for number in range(5)]
    options = CheckOptions(
        times=_collected(folder / "now", slower),
        baseline=learn_baseline(runs, made.PAIRS),
        baseline_name="baseline",
        policy=Policy(),
        policy_name="policy",
    )
    return check(options, lambda _text: None)


def test_sessions_into_one_directory_are_its_processes(tmp_path: Path) -> None:
    """Five sessions: five processes with both anchors, and a case per test that counts its operands."""
    times = _collected(tmp_path / "run")

    assert times.processes == 5
    assert times.anchored
    assert set(times.log_ns) == {
        ("call/test_mm-large-1/bf16/fixed", "mm"),
        ("call/test_relu-large-1/bf16/fixed", "relu"),
    }
    assert times.run.complete
    assert {line.bytes_moved for line in times.run.measurements} == {2 * 64 * 64}


@pytest.mark.parametrize(("slower", "code"), [(1.0, ExitCode.OK), (1.10, ExitCode.UNDECIDED)])
def test_the_gate_judges_what_pytest_timed(tmp_path: Path, slower: float, code: ExitCode) -> None:
    """Unchanged it passes; 10 % slower is undecided, because only pytest can measure it again."""
    report = _checked(tmp_path, slower)

    assert report.exit_code is code
    assert any("only pytest can" in remark for remark in report.remarks) is (slower > 1)


def test_what_cannot_be_one_run_is_refused(tmp_path: Path) -> None:
    """Another GPU, a run of a suite, and a test that times a function twice: one line each."""
    _session(tmp_path / "run")
    with pytest.raises(UsageError, match="was measured on"):
        _session(tmp_path / "run", replace(gpu_device(), name="NVIDIA A100"))
    with pytest.raises(UsageError, match="times 'mm' twice"):
        _session(tmp_path / "twice", times=2)
    made.simulated(tmp_path / "suite" / "run", 1, processes=1)
    with pytest.raises(UsageError, match="holds another run"):
        _session(tmp_path / "suite" / "run")


@pytest.mark.long
def test_a_session_writes_its_process(tmp_path: Path) -> None:
    """`pytest --quantroof-out DIR` leaves a complete run with anchors and the test's case."""
    (tmp_path / "test_mine.py").write_text(_TEST)
    done = _pytest(tmp_path, "test_mine.py", "--quantroof-out", "run", "--quantroof-device", "cpu")
    assert done.returncode == 0, done.stdout
    run = read_run(tmp_path / "run")

    assert run.complete
    assert [(line.case, line.kernel) for line in run.measurements] == [("call/test_product/fp32/fixed", "mm")]
    assert [(a.name, a.moment) for a in run.anchors] == [
        (name, moment) for moment in ("start", "end") for name in ("gemm", "copy")
    ]
