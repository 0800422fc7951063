"""Ceilings by CUDA C++ kernels: what is planned, and what becomes of it where nothing can run."""

from __future__ import annotations

from typing import Any

import pytest

from quantroof.bench import ceilings_cuda
from quantroof.bench.measure import Bench
from quantroof.bench.settings import Settings
from quantroof.kernels.ceilings.rates import SIZES, Rate
from quantroof.kernels.registry import Prepared, Skip
from quantroof.kernels.sass.nvrtc import Refusal
from quantroof.records.lines import Ceiling, Timing
from quantroof.records.roofs import ceiling_rate, measured_roofs
from tests.hwprofiles.boards import h200

DEVICE = h200()


def bench() -> Bench:
    """A bench for what never reaches the device: no arena, no monitor."""
    nothing: Any = None
    limits = Settings(precision=0.01, min_samples=5, max_samples=10, seconds_per_case=0.1)
    return Bench(DEVICE, limits, nothing, nothing)


def one(amount: int, rate_per_s: float, **fields: Any) -> Ceiling:
    """A timed ceiling of one sample."""
    timing = Timing(
        samples_ns=(amount / rate_per_s * 1e9,),
        calls_per_sample=1,
        cache="cold",
        method="cuda-graph",
        stopped_by="precision",
        copies=2,
        rotated_bytes=0,
    )
    return Ceiling(device="cuda:0", kernel="k", status="ok", timing=timing, **fields)


def test_without_cupy_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The torch streams before it stand; the reason is recorded."""
    monkeypatch.setattr(ceilings_cuda, "unavailable", lambda: Skip("cupy is not installed"))
    (line,) = ceilings_cuda.cuda_ceilings(bench(), quick=False)
    assert (line.status, line.reason) == ("skipped", "cupy is not installed")


def plan(monkeypatch: pytest.MonkeyPatch, *, quick: bool) -> list[tuple[Rate, str]]:
    """Everything that would be timed, with its mode; the third launch shape is made the fastest."""
    timed: list[tuple[Rate, str]] = []

    def fake(_bench: Bench, rate: Rate, mode: str = "burst") -> Ceiling:
        timed.append((rate, mode))
        fast = 2.0 if rate.kernel.endswith("/4x256") else 1.0
        counted = {"flops" if rate.quantity == "instruction" else "bytes_moved": rate.amount}
        return one(rate.amount, fast * 1e12, quantity=rate.quantity, name=rate.name, **counted)

    monkeypatch.setattr(ceilings_cuda, "unavailable", lambda: None)
    monkeypatch.setattr(ceilings_cuda, "timed", fake)
    list(ceilings_cuda.cuda_ceilings(bench(), quick=quick))
    return timed


def test_every_size_is_timed_with_the_best_launch_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """All shapes at 4 GiB, then 1 MiB to 1 GiB with the winner, sustained for read and copy only."""
    timed = plan(monkeypatch, quick=False)
    reads = [(rate, mode) for rate, mode in timed if rate.quantity == "bandwidth" and rate.name == "read"]
    burst = [rate for rate, mode in reads if mode == "burst"]
    assert sorted({rate.amount for rate in burst}) == sorted(SIZES)
    small = [rate for rate in burst if rate.amount < SIZES[-1]]
    assert all(rate.kernel == "cuda.stream_read/4x256" for rate in small)
    assert {rate.name for rate, mode in timed if mode == "sustained"} == {"read", "copy"}


def test_quick_times_four_streams_and_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """One size and launch shape each."""
    timed = plan(monkeypatch, quick=True)
    assert [rate.name for rate, _ in timed] == ["read", "write", "copy", "triad"]


def test_a_refused_instruction_is_a_skipped_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not assemble for the device is recorded with the assembler's words."""

    def refuse() -> Prepared:
        raise Refusal("not supported on .target 'sm_90a'")

    rate = Rate("instruction", "mma.sync/mxfp4/fp32", "cuda.mma_rate", 1, False, refuse)
    line = ceilings_cuda.timed(bench(), rate)
    assert (line.status, line.reason) == ("skipped", "not supported on .target 'sm_90a'")


def test_evidence_is_no_roof() -> None:
    """An instruction above the library GEMM, or an L2 above the DRAM, leaves the roofs alone."""
    ceilings = [
        one(100, 4e12, quantity="bandwidth", name="read", bytes_moved=100),
        one(100, 9e12, quantity="cache", name="l2_read", bytes_moved=100),
        one(100, 700e12, quantity="matrix", name="bf16", flops=100),
        one(100, 990e12, quantity="instruction", name="mma.sync/bf16/fp32", flops=100),
    ]
    roofs = measured_roofs("cuda:0", ceilings)
    assert roofs.bandwidth == {"read": pytest.approx(4e12)}
    assert roofs.matrix == {"bf16": pytest.approx(700e12)}
    assert ceiling_rate(ceilings[3]) == pytest.approx(990e12)


def test_the_quick_suite_asks_for_quick_ceilings_and_expects_less_time() -> None:
    """Its limit reaches the settings a worker gets; other suites take the full set."""
    from quantroof.bench.settings import Wishes
    from quantroof.bench.suite import Limits, load

    wishes = Wishes()
    assert Settings.resolve(load("quick")[0].limits, wishes).quick_ceilings
    assert not Settings.resolve(load("default")[0].limits, wishes).quick_ceilings
    assert not Settings.resolve(Limits(), wishes).quick_ceilings
