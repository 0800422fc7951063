"""When a worker must be replaced: its GPU is asked, and words decide only where asking cannot tell."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from quantroof.bench import local
from quantroof.bench.local import local_bench, lost_context
from quantroof.bench.measure import Bench
from quantroof.bench.settings import Settings
from quantroof.bench.workers import server
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Ceiling
from tests.hwprofiles.boards import h200

NOTHING: Any = None
SETTINGS = Settings(precision=0.1, min_samples=3, max_samples=9, seconds_per_case=1)
GPU = Bench(h200(), SETTINGS, NOTHING, NOTHING)


def failed(reason: str) -> Ceiling:
    """A line that failed."""
    return Ceiling(
        device="cuda:0", quantity="matrix", name="int8", kernel="k", status="failed", reason=reason
    )


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What the GPU says when it is asked."""
    said: list[str | None] = [None]
    monkeypatch.setattr(server, "lost_context", lambda _bench: said[0])
    return said


def test_a_refusal_of_a_library_does_not_cost_the_worker(answers: list[str | None]) -> None:
    """cuBLAS says 'CUDA error' as well, and the context is as sound as before."""
    line = failed("RuntimeError: CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling cublasLtMatmul")

    assert server._unusable(GPU, line) is None


def test_a_lost_context_costs_the_worker_whatever_the_words(answers: list[str | None]) -> None:
    """cupy, Triton and torch word the same fault differently."""
    answers[0] = "CUDA error: an illegal memory access was encountered"

    assert server._unusable(GPU, failed("CUDADriverError: CUDA_ERROR_ILLEGAL_ADDRESS")) == answers[0]


def test_a_broken_capture_costs_the_worker(answers: list[str | None]) -> None:
    """The GPU answers, but torch's allocator is still inside the capture."""
    assert server._unusable(GPU, failed("CaptureError: cannot be captured in a CUDA graph (...)")) is not None


def test_memory_that_ran_short_is_given_back(
    answers: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next case begins with what the driver has, not with what the last one left over."""
    after_shortages: list[bool] = []
    monkeypatch.setattr(
        server, "tidy", lambda _bench, *, after_shortage: after_shortages.append(after_shortage)
    )

    assert server._unusable(GPU, failed("out of memory: CUDA out of memory. Tried to allocate")) is None
    assert after_shortages == [True]


def test_asking_a_gpu_that_is_gone_is_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first line of what torch raises; on a CPU nothing can be lost."""

    def gone(*_: object, **__: object) -> torch.Tensor:
        raise RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors might be ...")

    monkeypatch.setattr(torch, "zeros", gone)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)

    assert lost_context(GPU) == "CUDA error: unspecified launch failure"


def test_a_cpu_loses_nothing(cpu: Device) -> None:
    """No context, nothing to give back."""
    bench = local_bench(cpu, GPU.settings)
    local.tidy(bench)

    assert lost_context(bench) is None
