"""Ceilings by CUDA C++ kernels: what is planned, and what becomes of it where nothing can run."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from quantroof.analysis.roofs import ceiling_rate, measured_roofs
from quantroof.bench.ceilings import cuda as ceilings_cuda
from quantroof.bench.ceilings import measure as ceilings
from quantroof.bench.ceilings import record as ceiling_line
from quantroof.bench.measure import Bench
from quantroof.bench.settings import Settings
from quantroof.bench.timing.sampling import SETTLE_S
from quantroof.kernels.ceilings import rates
from quantroof.kernels.ceilings.block_scaled import BlockScaledGemm
from quantroof.kernels.ceilings.library import LibraryGemm, library_gemms
from quantroof.kernels.ceilings.rates import SIZES, SMALL, Rate
from quantroof.kernels.kernel import Prepared, Skip
from quantroof.kernels.sass.nvrtc import Refusal
from quantroof.kernels.stream.torch_stream import StreamKernel
from quantroof.records.lines import Ceiling, Timing
from tests.hwprofiles.boards import h200

DEVICE = h200()


def bench() -> Bench:
    """A bench for what never reaches the device: no arena, no monitor."""
    nothing: Any = None
    limits = Settings(precision=0.005, min_samples=10, max_samples=2000, seconds_per_case=1.0)
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
    (group,) = ceilings_cuda.cuda_groups(bench(), quick=False)
    (line,) = group.measure(bench())
    assert (line.status, line.reason) == ("skipped", "cupy is not installed")


def test_a_cupy_that_raises_anything_is_a_skip(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Built for another numpy or CUDA, it may raise anything: torch's streams are measured nevertheless."""
    (tmp_path / "cupy.py").write_text("raise SystemError('built for another interpreter')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cupy", raising=False)
    (group,) = ceilings_cuda.cuda_groups(bench(), quick=False)
    (line,) = group.measure(bench())

    assert line.status == "skipped"
    assert line.reason == "no CUDA C++ kernels: built for another interpreter"


def plan(monkeypatch: pytest.MonkeyPatch, *, quick: bool) -> list[tuple[Rate, str]]:
    """Everything that would be timed, with its mode; the third launch shape is made the fastest."""
    timed: list[tuple[Rate, str]] = []

    def fake(_bench: Bench, rate: Rate, mode: str = "burst") -> Ceiling:
        timed.append((rate, mode))
        fast = 2.0 if rate.kernel.endswith("/4x256") else 1.0
        counted = {"flops" if rate.quantity == "instruction" else "bytes_moved": rate.amount}
        return one(rate.amount, fast * 1e12, quantity=rate.quantity, name=rate.name, **counted)

    monkeypatch.setattr(ceilings_cuda, "unavailable", lambda: None)
    monkeypatch.setattr(ceilings_cuda, "timed_rate", fake)
    for group in ceilings_cuda.cuda_groups(bench(), quick=quick):
        list(group.measure(bench()))
    return timed


def test_every_size_is_timed_with_the_best_launch_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    """All shapes at 4 GiB, then the winner, beside short blocks up to 64 MiB; sustained read and copy."""
    timed = plan(monkeypatch, quick=False)
    reads = [(rate, mode) for rate, mode in timed if rate.quantity == "bandwidth" and rate.name == "read"]
    burst = [rate for rate, mode in reads if mode == "burst"]
    assert sorted({rate.amount for rate in burst}) == sorted(SIZES)
    kernels = {size: {rate.kernel for rate in burst if rate.amount == size} for size in SIZES[:-1]}
    best, many = "cuda.stream_read/4x256", "cuda.stream_read/32x256"
    assert all(used == ({best, many} if size <= SMALL else {best}) for size, used in kernels.items())
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
    line = ceilings_cuda.timed_rate(bench(), rate)
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
    from quantroof.bench.suite import StoppingLimits, load
    from quantroof.records.run import RunOptions

    run_options = RunOptions()
    assert Settings.resolve(load("quick").workloads["gpu"].limits, run_options).quick_ceilings
    assert not Settings.resolve(load("default").workloads["gpu"].limits, run_options).quick_ceilings
    assert not Settings.resolve(StoppingLimits(), run_options).quick_ceilings


class Pretended:
    """What a full set of ceilings would take if every one of them met its wall limit."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def rest(self, seconds: float) -> None:
        """A pause counts."""
        self.seconds += seconds

    def time(self, bench: Bench, _prepared: Any) -> Any:
        """Settling and sampling by the rule, and a third of a second to compile and to fill memory."""
        settings = bench.settings
        self.seconds += SETTLE_S["gpu"][settings.mode] + settings.rule().seconds + 0.3
        return one(1, 1.0, quantity="bandwidth", name="read", bytes_moved=1).timing, None, ()


@pytest.mark.parametrize(("quick", "limit_s"), [(False, 150.0), (True, 20.0)])
@pytest.mark.parametrize(("capability", "own"), [("9.0", set()), ("10.0", {"mxfp8", "mxfp4", "nvfp4"})])
def test_the_ceilings_of_a_gpu_end_in_time_even_if_none_is_precise(
    monkeypatch: pytest.MonkeyPatch, capability: str, own: set[str], quick: bool, limit_s: float
) -> None:
    """150 s for the full set and 20 s for the quick one, with every wall limit used up."""
    pretended = Pretended()
    built = Prepared((), lambda: None)
    monkeypatch.setattr(time, "sleep", pretended.rest)
    monkeypatch.setattr(ceiling_line, "time_prepared", pretended.time)
    monkeypatch.setattr(ceilings_cuda, "unavailable", lambda: None)
    for kind in (StreamKernel, LibraryGemm, BlockScaledGemm):
        monkeypatch.setattr(kind, "build", lambda *_: built)
    monkeypatch.setattr(BlockScaledGemm, "check", lambda *_: None)
    stream, on_chip, matrix = rates.stream, rates.on_chip, rates.matrix_instructions

    def light(rate: Rate) -> Rate:
        return replace(rate, build=lambda: built)

    monkeypatch.setattr(ceilings_cuda, "stream", lambda *a: light(stream(*a)))
    monkeypatch.setattr(ceilings_cuda, "on_chip", lambda d: map(light, on_chip(d)))
    monkeypatch.setattr(
        ceilings_cuda, "matrix_instructions", lambda d: ((i, light(rate)) for i, rate in matrix(d))
    )
    gpu = replace(bench(), device=msgspec.structs.replace(DEVICE, compute_capability=capability))
    groups = ceilings.ceiling_groups(gpu, quick=quick)
    lines = [line for group in groups for line in group.measure(gpu)]

    assert {line.status for line in lines} == {"ok"}
    assert {line.name for line in lines if line.quantity == "matrix"} == {
        "fp32",
        "tf32",
        "fp16",
        "bf16",
        "int8",
        "fp8_e4m3",
        *own,
    }
    assert pretended.seconds <= limit_s, f"{pretended.seconds:.0f} s"


def test_a_library_that_raises_costs_its_ceiling_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a TypeError of a changed signature ends the worker."""

    def changed(*_: object) -> Prepared:
        raise TypeError("_scaled_mm() got an unexpected keyword argument")

    monkeypatch.setattr(LibraryGemm, "build", changed)
    line = ceilings._library(bench(), library_gemms()[-1], (16, 16, 16))

    assert (line.status, line.name) == ("failed", "fp8_e4m3")
    assert "unexpected keyword" in (line.reason or "")


@pytest.mark.parametrize("gemm", library_gemms(), ids=lambda gemm: gemm.element)
def test_library_products_are_products(gemm: LibraryGemm) -> None:
    """The very calls, on CPU tensors: x w^T of a [M, K] and a [N, K], whatever the element."""
    generator = torch.Generator().manual_seed(1)
    x, w = gemm.operand((32, 64), generator), gemm.operand((48, 64), generator)
    assert (x.shape, w.shape) == ((32, 64), (48, 64))
    product = gemm.multiply(x, w).double()

    torch.testing.assert_close(product, x.double() @ w.double().T, rtol=2e-2, atol=2e-2 * product.std())
