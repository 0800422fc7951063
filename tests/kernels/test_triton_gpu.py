"""Our kernels on a real GPU: right, and bit-identical over graph replays and on two streams."""

from __future__ import annotations

import time
from functools import cache

import pytest
import torch

from quantroof.bench.correctness import check
from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.problem import Problem
from quantroof.kernels.schemes import scheme

pytestmark = pytest.mark.gpu

_OURS = [k for k in registry.load().kernels.values() if k.provider in ("triton", "cupy")]
_PAIRS = [(kernel, name) for kernel in _OURS for name in kernel.schemes]


@cache
def _device() -> Device:
    from quantroof.hwprofiles.detect import detect

    return detect().gpus[0]


def _prepared(kernel: Kernel, case: Case, device: Device) -> tuple[Prepared, Problem]:
    skip = kernel.check(case, device)
    if skip:
        pytest.skip(skip.reason)
    problem = Problem(case, device)
    prepared = kernel.build(problem)
    if isinstance(prepared, Skip):
        pytest.skip(prepared.reason)
    return prepared, problem


@pytest.mark.parametrize("m", [1, 2, 7, 16, 17, 64, 65, 300])
@pytest.mark.parametrize(("kernel", "name"), _PAIRS, ids=[f"{k.name}-{n}" for k, n in _PAIRS])
def test_kernel_is_right_on_the_gpu(kernel: Kernel, name: str, m: int) -> None:
    """Within the format's tolerance of float64, compiled for this very GPU."""
    prepared, problem = _prepared(kernel, Case.linear(scheme(name), m, 1152, 1024), _device())
    accuracy = check(prepared, problem)
    assert accuracy.frobenius <= accuracy.tolerance


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        ("triton.int4", "int4-w4a16"),
        ("triton.bf16", "bf16"),
        ("triton.int8", "int8-w8a8-static"),
        ("cupy.int4", "int4-w4a16"),
    ],
)
def test_ten_thousand_graph_replays_are_bit_identical(kernel: str, name: str) -> None:
    """Split-K adds its parts in one order whatever order they arrive in, and leaves its counters at zero."""
    case = Case.linear(scheme(name), 1, 4096, 4096)
    prepared, _ = _prepared(registry.load().kernels[kernel], case, _device())
    assert prepared.config.get("SPLIT") != 1
    first = prepared.call(*prepared.weights).clone()
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    graph = torch.cuda.CUDAGraph()
    differing = torch.zeros(1, dtype=torch.int64, device="cuda")
    with torch.cuda.graph(graph, stream=stream):
        for _ in range(10):
            output = prepared.call(*prepared.weights)
            differing += (output != first).sum()
            output.fill_(float("nan"))  # a launch that wrote nothing must show
    for _ in range(1000):
        graph.replay()
    torch.cuda.synchronize()
    assert int(differing) == 0


def test_the_largest_layer_is_packed_in_seconds() -> None:
    """28672 x 8192 in int4 by every kernel of ours: quantized, packed and right, within 60 s each."""
    case = Case.linear(scheme("int4-w4a16"), 1, 28672, 8192)
    for kernel in (k for k in _OURS if "int4-w4a16" in k.schemes):
        started = time.monotonic()
        prepared, problem = _prepared(kernel, case, _device())
        accuracy = check(prepared, problem)
        assert accuracy.frobenius <= accuracy.tolerance
        assert time.monotonic() - started < 60


def test_two_streams_with_their_own_workspace_do_not_disturb_each_other() -> None:
    """A Prepared serves one stream; two of them may run at once."""
    case = Case.linear(scheme("int4-w4a16"), 1, 4096, 4096)
    device = _device()
    kernel = registry.load().kernels["triton.int4"]
    both = [_prepared(kernel, case, device)[0] for _ in range(2)]
    first = both[0].call(*both[0].weights).clone()
    torch.cuda.synchronize()
    streams = [torch.cuda.Stream() for _ in range(2)]  # type: ignore[no-untyped-call]
    differing = [torch.zeros(1, dtype=torch.int64, device="cuda") for _ in range(2)]
    torch.cuda.synchronize()
    for _ in range(500):
        for prepared, stream, count in zip(both, streams, differing, strict=True):
            with torch.cuda.stream(stream):
                output = prepared.call(*prepared.weights)
                count += (output != first).sum()
                output.fill_(float("nan"))
    torch.cuda.synchronize()
    assert [int(count) for count in differing] == [0, 0]
