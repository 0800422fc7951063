"""One measurement from end to end on the CPU: what makes it wrong, what it records as hot, what it shares."""

from __future__ import annotations

import subprocess
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from msgspec.structs import replace

from quantroof.bench import correctness
from quantroof.bench.local import local_bench
from quantroof.bench.measure import Bench, measure
from quantroof.bench.settings import Settings
from quantroof.bench.workers import protocol, server
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared
from quantroof.kernels.problem import Problem, tolerance
from quantroof.kernels.reference import Reference, forget_data
from quantroof.kernels.schemes import SCHEMES
from quantroof.records.lines import Measurement
from quantroof.records.run import Cache
from tests.bench.conftest import FAULTY

CASE = Case.linear(SCHEMES["fp32"], 64, 256, 128)
SETTINGS = Settings(precision=0.5, min_samples=3, max_samples=3, seconds_per_case=0.1)


def _bench(device: Device, **settings: object) -> Bench:
    return local_bench(device, replace(SETTINGS, **settings))


def _scaled_kernel(factor: float) -> Kernel:
    """The right product times a factor: its relative error is |factor - 1|."""

    def build(problem: Problem) -> Prepared:
        return Prepared((problem.weight.codes,), lambda w: (problem.arriving @ w.T) * factor)

    return Kernel("scaled", "test", ("fp32",), build)


@pytest.mark.parametrize(("share", "status"), [(0.5, "ok"), (2.0, "incorrect")])
def test_an_output_outside_its_tolerance_is_incorrect(cpu: Device, share: float, status: str) -> None:
    """Half of the tolerance passes; twice as much is incorrect, with its error and without a time."""
    kernel = _scaled_kernel(1 + share * tolerance(CASE))
    line = measure(_bench(cpu), Problem(CASE, cpu), kernel)

    assert line.status == status
    assert line.accuracy is not None
    assert line.accuracy.frobenius == pytest.approx(share * tolerance(CASE), rel=0.1)
    assert (line.timing is None) is (status == "incorrect")


@pytest.mark.parametrize(
    ("cache", "hot"), [("cold", ("activations", "output")), ("hot", ("activations", "output", "weights"))]
)
def test_a_record_names_what_stayed_in_the_cache(cpu: Device, cache: Cache, hot: tuple[str, ...]) -> None:
    """A hot measurement uses one set of weights, so they are hot as well."""
    line = measure(_bench(cpu, cache=cache), Problem(CASE, cpu), _scaled_kernel(1.0))

    assert line.timing is not None
    assert line.timing.hot == hot
    assert (line.timing.copies == 1) is (cache == "hot")


@pytest.mark.parametrize("scheme", ["fp32", "bf16"])
@pytest.mark.parametrize(("rows", "status"), [(64, "ok"), (63, "incorrect")])
def test_an_element_that_nobody_writes_is_noticed(cpu: Device, scheme: str, rows: int, status: str) -> None:
    """A kernel that leaves a row of its output unwritten is incorrect: the check fills new memory."""
    case = Case.linear(SCHEMES[scheme], 64, 256, 128)
    filled: list[bool] = []

    def build(problem: Problem) -> Prepared:
        def call(w: torch.Tensor) -> torch.Tensor:
            output = torch.empty((64, 256), dtype=problem.arriving.dtype)
            filled.append(bool((output.view(torch.uint8) == 0x7F).all()))
            output[:rows] = torch.nn.functional.linear(problem.arriving, w)[:rows]
            return output

        return Prepared((problem.weight.codes,), call)

    line = measure(_bench(cpu), Problem(case, cpu), Kernel("partial", "test", (scheme,), build))

    assert line.status == status
    assert filled[0], "the first call is the check's"


def test_the_check_on_a_gpu_begins_by_filling_free_blocks(
    cpu: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch's allocator hands out freed blocks again: without NaN in them an old right answer would pass."""
    problem = Problem(CASE, cpu)
    order: list[Any] = []
    gpu: Any = SimpleNamespace(case=CASE, torch_device=torch.device("cuda", 0))
    monkeypatch.setattr(correctness, "reference_of", lambda _: Reference(problem))
    monkeypatch.setattr(correctness, "output_values", lambda *given: given[-1].double())
    monkeypatch.setattr(
        correctness, "_fill_free_blocks", lambda m, n, device: order.append((m, n, device.type))
    )

    def call(w: torch.Tensor) -> torch.Tensor:
        order.append("call")
        return problem.arriving @ w.T

    assert correctness.correct(correctness.check(Prepared((problem.weight.codes,), call), gpu))
    assert order == [(64, 256, "cuda"), "call"]


@pytest.mark.parametrize(("first", "forgotten"), [("SPOIL", 1), ("PRINT", 0)])
def test_a_kernel_that_fails_does_not_spoil_the_shared_weights(
    cpu: Device, monkeypatch: pytest.MonkeyPatch, first: str, forgotten: int
) -> None:
    """Weights are drawn again after a failure, and kept after a measurement that went well.

    A process that ran before the kernel came still runs afterwards.
    """
    calls: list[int] = []
    bystander = subprocess.Popen(["sleep", "60"])

    def forget() -> None:
        calls.append(1)
        forget_data()

    monkeypatch.setattr(server, "forget_data", forget)
    bench = _bench(cpu, kernels=(f"{FAULTY}:{first}",))
    request = protocol.MeasureCase(case=CASE.id, kernels=(f"faulty.{first.lower()}", "torch.linear"))
    lines = [line for _, line in server._lines(bench, request) if line is not None]

    assert all(isinstance(line, Measurement) for line in lines)
    assert [line.status for line in lines] == ["failed" if forgotten else "ok", "ok"]
    assert len(calls) == forgotten
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
