"""Ceilings: what this very device was measured to do, with the same timer as every case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from quantroof.bench.measure import Bench, time_prepared
from quantroof.errors import QuantroofError
from quantroof.kernels.cases import Case
from quantroof.kernels.problem import Problem
from quantroof.kernels.registry import Skip, is_gpu, load
from quantroof.kernels.schemes import SCHEMES
from quantroof.kernels.stream.torch_stream import StreamKernel, stream_kernels
from quantroof.records.lines import Ceiling
from quantroof.records.roofs import ceiling_rate

# Scheme whose library GEMM stands for the matrix rate of an element, and the shapes tried (M, N, K). The
# largest power-of-two squares are not always the fastest, so a few are measured and the best one counts.
_MATRIX_SCHEMES = {
    "fp32": "fp32",
    "tf32": "tf32",
    "fp16": "fp16",
    "bf16": "bf16",
    "int8": "int8-w8a8-static",
    "fp8_e4m3": "fp8-w8a8-static",
}
_GPU_SHAPES = (
    (4096, 4096, 4096),
    (1024, 4096, 13312),  # the best of mamf-finder's bf16 shapes on an H200
    (8192, 8192, 8192),
    (8192, 8192, 4096),
    (2048, 8192, 4096),
)
_CPU_SHAPES = ((512, 2048, 2048), (1024, 4096, 4096), (256, 4096, 4096))
_EMULATED_ON_CPU = ("fp8_e4m3",)  # torch multiplies fp8 on a CPU in software: no rate of any hardware


def measure_ceilings(bench: Bench, *, quick: bool) -> Iterator[Ceiling]:
    """DRAM bandwidths past the last-level cache, then the library's matrix rate per element.

    On a GPU also what CUDA C++ kernels reach, and read, copy and the matrix rates sustained (not if quick).
    """
    for stream in stream_kernels(bench.device):
        yield _bandwidth(bench, stream)
    if is_gpu(bench.device):
        from quantroof.bench.ceilings_cuda import cuda_ceilings

        yield from cuda_ceilings(bench, quick=quick)
    shapes = _GPU_SHAPES if is_gpu(bench.device) else _CPU_SHAPES
    for element, scheme in _MATRIX_SCHEMES.items():
        if element in _EMULATED_ON_CPU and not is_gpu(bench.device):
            continue
        best = (0.0, shapes[0])
        for shape in shapes[: 1 if quick else None]:
            for ceiling in _matrix(bench, element, scheme, shape):
                best = max(best, (ceiling_rate(ceiling) or 0.0, shape))
                yield ceiling
        if is_gpu(bench.device) and not quick and best[0]:
            yield from _matrix(_sustained(bench), element, scheme, best[1])


def _sustained(bench: Bench) -> Bench:
    return replace(bench, settings=msgspec.structs.replace(bench.settings, mode="sustained"))


def _bandwidth(bench: Bench, stream: StreamKernel) -> Ceiling:
    try:
        prepared = stream.build(bench.device)
        timing, state, _ = time_prepared(bench, prepared)
    except (RuntimeError, QuantroofError) as error:
        return Ceiling(
            device=bench.device.id,
            quantity="bandwidth",
            name=stream.name,
            kernel=stream.kernel,
            status="failed",
            reason=str(error).splitlines()[0],
        )
    return Ceiling(
        device=bench.device.id,
        quantity="bandwidth",
        name=stream.name,
        kernel=stream.kernel,
        status="ok",
        bytes_moved=stream.bytes_moved(bench.device),
        timing=timing,
        state=state,
    )


def _matrix(bench: Bench, element: str, scheme: str, shape: tuple[int, int, int]) -> Iterator[Ceiling]:
    """The rate of torch's kernels for a scheme at one shape; nothing where none of them can run."""
    case = Case.linear(SCHEMES[scheme], *shape)
    problem = Problem(case, bench.device, bench.settings.seed)
    for kernel in load().for_providers(("torch",)):
        if not kernel.made_for(case, bench.device) or kernel.check(case, bench.device):
            continue
        prepared = kernel.build(problem)
        if isinstance(prepared, Skip):
            continue
        timing, state, _ = time_prepared(bench, prepared)
        yield Ceiling(
            device=bench.device.id,
            quantity="matrix",
            name=element,
            kernel=kernel.name,
            status="ok",
            flops=case.flops,
            shape=shape,
            timing=timing,
            state=state,
        )
