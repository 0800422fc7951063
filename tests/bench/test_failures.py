"""A failure keeps its telling line in the record and its whole traceback in the log of the run."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from quantroof.bench import measure as measuring
from quantroof.bench.ceilings import anchors
from quantroof.bench.correctness import correct
from quantroof.bench.failures import log_to, reason
from quantroof.bench.local import local_bench
from quantroof.bench.measure import measure
from quantroof.bench.plan import skipped_line
from quantroof.bench.settings import Settings
from quantroof.bench.workers import protocol
from quantroof.bench.workers.device_run import DeviceRun
from quantroof.errors import described, first_line
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.linear import torch_fp8
from quantroof.kernels.problem import Problem
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.lines import Accuracy, Measurement
from tests.bench.conftest import tiny_plan
from tests.builders import cpu_device

DATA = Path(__file__).parent.parent / "data"
SETTINGS = Settings(precision=0.5, min_samples=3, max_samples=3, seconds_per_case=0.01)


def test_a_compiler_error_is_told_by_its_last_line() -> None:
    """Triton's own error begins with a position: `at 3:8:` helps nobody."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, CompilationError

    from tests.bench.faulty import undefined_name

    source = ASTSource(fn=undefined_name, signature={"x": "*fp32"})
    with pytest.raises(CompilationError) as caught:
        triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": True})

    assert str(caught.value).startswith("at ")
    assert "nowhere_defined" in described(caught.value)


def test_an_error_of_ptxas_is_told_by_its_own_line() -> None:
    """Not by Triton's general line before it, and not by the command after it."""

    class PTXASError(Exception):
        pass

    text = (
        "PTXAS error: Internal Triton PTX codegen error\n`ptxas` stderr:\n"
        "ptxas /tmp/a.ptx, line 7; error   : Unknown symbol 'x'\n\nRepro command: ptxas error.ptx\n"
    )

    assert first_line(PTXASError(text)) == "ptxas /tmp/a.ptx, line 7; error   : Unknown symbol 'x'"


@pytest.mark.parametrize(
    ("error", "text"), [(ValueError("a\nb"), "ValueError: a"), (ValueError(), "ValueError")]
)
def test_any_other_error_is_told_by_its_first_line(error: Exception, text: str) -> None:
    """Its type, and what it says first."""
    assert described(error) == text


class _Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


@pytest.mark.parametrize(
    ("error", "text"),
    [(_Unprintable(), "_Unprintable"), (RuntimeError("\ud800 half"), "RuntimeError: \\ud800 half")],
)
def test_an_error_that_cannot_be_printed_is_still_described(error: Exception, text: str) -> None:
    """A `__str__` that raises and half of a character cost the kernel, not its worker."""
    case = Case.linear(SCHEMES["fp32"], 4, 64, 64)
    line = skipped_line(case, cpu_device(), "k", "test", described(error))

    assert described(error) == text
    assert protocol.encode(protocol.MeasurementReply(measurement=line))


@pytest.mark.parametrize(
    ("value", "status"),
    [
        (float("nan"), "failed"),
        (object(), "failed"),
        ("\ud800", "failed"),
        pytest.param(10**400, "failed", id="huge"),
        (3, "ok"),
        ("é", "ok"),
    ],
)
def test_a_configuration_that_no_record_holds_is_named(cpu: Device, value: Any, status: str) -> None:
    """The kernel fails by its own config, not by something unreadable that its worker sent."""

    def build(problem: Problem) -> Prepared:
        x = problem.arriving
        return Prepared((problem.weight.codes,), lambda w: x @ w.T, config={"tile": value})

    case = Case.linear(SCHEMES["fp32"], 4, 64, 64)
    line = measure(local_bench(cpu, SETTINGS), Problem(case, cpu), Kernel("k", "test", ("fp32",), build))

    assert line.status == status
    assert line.status == "ok" or "its config 'tile' is not" in (line.reason or "")


@pytest.mark.parametrize(
    ("fault", "words"),
    [("RAISE", ("kernel says no", "with a second line", "in _raise")), ("SEGFAULT", ("in _segfault",))],
)
def test_the_log_of_a_run_has_the_whole_traceback(
    cpu: Device, tmp_path: Path, fault: str, words: tuple[str, ...]
) -> None:
    """Down to the line of the kernel, where the record has one line; after a crash Python's stack."""
    log, lines = tmp_path / "worker.log", list[Any]()
    DeviceRun(tiny_plan(cpu, fault), lines.append, log).run()
    text = log.read_text()

    assert all(word in text for word in words), text
    assert all("\n" not in (line.reason or "") for line in lines if isinstance(line, Measurement))


def test_a_run_without_failures_leaves_no_log(cpu: Device, tmp_path: Path) -> None:
    """An empty file would only be looked into."""
    log = tmp_path / "worker.log"
    DeviceRun(tiny_plan(cpu), lambda _: None, log).run()

    assert not log.exists()


@pytest.mark.parametrize(
    ("error", "right"), [(0.001, True), (0.01, True), (0.02, False), (float("nan"), False)]
)
def test_an_error_of_nan_is_not_within_the_tolerance(error: float, right: bool) -> None:
    """NaN compares false with everything, so the question must be whether it is below."""
    assert correct(Accuracy(frobenius=error, max_abs=0.0, tolerance=0.01)) is right


def test_the_monitor_is_stopped_whatever_the_samples_raise(
    cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that reads NVML on would disturb every case after this one."""
    stops: list[bool] = []
    bench = local_bench(cpu, SETTINGS)

    class Watched:
        probe = bench.monitor.probe

        def start(self) -> None:
            """Begins."""

        def stop(self) -> Any:
            """Counted; a device that is gone raises here too."""
            stops.append(True)
            raise RuntimeError("no device")

    def broken(*_: object, **__: object) -> Any:
        raise RuntimeError("the call fails")

    monkeypatch.setattr(measuring, "sample", broken)
    watched: Any = Watched()
    with pytest.raises(RuntimeError, match="the call fails"):
        measuring.time_prepared(replace(bench, monitor=watched), Prepared((), lambda: None))
    assert stops == [True]


def test_a_refusal_by_value_is_a_skip(monkeypatch: pytest.MonkeyPatch, cpu: Device) -> None:
    """TORCH_CHECK_VALUE raises ValueError where TORCH_CHECK raises RuntimeError."""

    def refuse(*_: object, **__: object) -> torch.Tensor:
        raise ValueError("Invalid scaling configuration")

    monkeypatch.setattr(torch, "_scaled_mm", refuse)
    problem = Problem(Case.linear(SCHEMES["fp8-w8a8"], 32, 64, 64), cpu)

    assert isinstance(torch_fp8._build_row(problem, fast=False), Skip)


def test_an_anchor_that_raises_anything_is_a_failed_line(
    cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the end of the worker; the other anchor is tried, and the gate sees both."""

    def broken(*_: object) -> Any:
        raise ValueError("no kernel for this shape")

    monkeypatch.setattr(anchors, "time_prepared", broken)
    lines = list(anchors.measure_anchors(local_bench(cpu, SETTINGS), "start"))

    assert [(line.name, line.status) for line in lines] == [("gemm", "failed"), ("copy", "failed")]
    assert {line.reason for line in lines} == {"ValueError: no kernel for this shape"}


def test_the_anchor_of_a_gpu_is_a_product_below_the_power_limit() -> None:
    """An H200 held 1980 MHz on it; on 8192^3 the limit set the clock, so that the anchor moved by itself."""
    rows = [json.loads(line) for line in (DATA / "h200_ceilings_and_timers.jsonl").read_text().splitlines()]
    reasons = {row["M"]: row["reasons"] for row in rows if (row["kind"], row.get("prec")) == ("gemm", "bf16")}
    case = anchors._GEMM["gpu"]

    assert (case.m, case.n) == (case.k, case.k)
    assert reasons[case.m] == 0
    assert reasons[8192] != 0


def test_tracebacks_of_tuning_are_in_its_log(tmp_path: Path) -> None:
    """A tiling that fails costs itself; its file is made by the first failure."""
    log = tmp_path / "tune.log"
    with log_to(log):
        assert not log.exists()
        try:
            int("too many resources")
        except ValueError as error:
            reason(error, "gemv/x triton.int4 bn=64")
    reason(RuntimeError("later"), "not of this tuning")
    text = log.read_text()

    assert "gemv/x triton.int4 bn=64" in text
    assert "Traceback (most recent call last)" in text
    assert "later" not in text
