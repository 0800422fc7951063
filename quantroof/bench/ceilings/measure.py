"""Measure a device's ceilings with the same timer as every case."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from quantroof.analysis.roofs import ceiling_rate
from quantroof.bench.ceilings.record import Group, timed, untimed
from quantroof.bench.measure import Bench
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel
from quantroof.kernels.problem import Problem
from quantroof.kernels.registry import own
from quantroof.kernels.schemes import SCHEMES
from quantroof.kernels.stream.torch_stream import StreamKernel, stream_kernels
from quantroof.records.lines import Ceiling

if TYPE_CHECKING:
    from quantroof.kernels.ceilings.block_scaled import BlockScaledGemm
    from quantroof.kernels.ceilings.library import LibraryGemm

BURST_S = 0.3
"""Wall limit of sampling one burst ceiling of a GPU."""

# Scheme whose kernels in torch stand for the matrix rate of an element on a CPU, and the shapes tried.
_CPU_SCHEMES = {"fp32": "fp32", "fp16": "fp16", "bf16": "bf16", "int8": "int8-w8a8-static"}
Shapes = tuple[tuple[int, int, int], ...]
_CPU_SHAPES: Shapes = ((512, 2048, 2048), (1024, 4096, 4096), (256, 4096, 4096))
_QUICK_CPU_SHAPES = 1
# Burst ceilings are measured before the power limiter reacts. Its averaging window includes the preceding
# load, so the GPU idles before each.
_REST_S = 0.25


def ceiling_groups(bench: Bench, *, quick: bool, cpu_shapes: Shapes = _CPU_SHAPES) -> Iterator[Group]:
    """DRAM bandwidths past the last-level cache, then the library's matrix rate per element.

    On a GPU also what CUDA C++ kernels reach, and read, copy and the matrix rates sustained (not if quick).
    """
    gpu = bench.device.processor == "gpu"
    bench = _brief(bench) if gpu else bench
    for kernel in stream_kernels(bench.device):
        yield Group(("bandwidth", kernel.name, kernel.kernel), partial(_bandwidth, bench, kernel))
    if not gpu:
        yield from _cpu_matrices(bench, cpu_shapes[: _QUICK_CPU_SHAPES if quick else None])
        return
    from quantroof.bench.ceilings.cuda import cuda_groups

    yield from cuda_groups(bench, quick=quick)
    yield from _gpu_matrices(bench, quick=quick)


def _brief(bench: Bench) -> Bench:
    """The bench with a wall limit that keeps the full set within 150 s; sustained has its own."""
    seconds = min(BURST_S, bench.settings.seconds_per_case)
    return replace(bench, settings=msgspec.structs.replace(bench.settings, seconds_per_case=seconds))


def _gpu_matrices(bench: Bench, *, quick: bool) -> Iterator[Group]:
    """Every library GEMM at every shape after a rest each, then sustained at its best shape."""
    from quantroof.kernels.ceilings.block_scaled import block_scaled_gemms
    from quantroof.kernels.ceilings.library import library_gemms

    gemms: tuple[LibraryGemm | BlockScaledGemm, ...] = library_gemms()
    for gemm in (*gemms, *block_scaled_gemms(bench.device)):
        run = partial(_library_shapes, bench, gemm, quick=quick)
        yield Group(("matrix", gemm.element, gemm.kernel.partition("/")[0]), run)


def _library_shapes(bench: Bench, gemm: LibraryGemm | BlockScaledGemm, *, quick: bool) -> Iterator[Ceiling]:
    if (skip := gemm.check(bench.device)) is not None:
        yield untimed(bench, "matrix", gemm.element, gemm.kernel, "skipped", skip.reason)
        return
    best = (0.0, gemm.shapes[0])
    for shape in gemm.shapes[: len(gemm.shapes) // 2 if quick else None]:
        time.sleep(_REST_S)
        ceiling = _library(bench, gemm, shape)
        best = max(best, (ceiling_rate(ceiling) or 0.0, shape))
        yield ceiling
    if not quick and best[0]:
        yield _library(_sustained(bench), gemm, best[1])


def _library(bench: Bench, gemm: LibraryGemm | BlockScaledGemm, shape: tuple[int, int, int]) -> Ceiling:
    m, n, k = shape
    build = partial(gemm.build, bench.device, shape, bench.settings.seed)
    return timed(bench, build, "matrix", gemm.element, gemm.kernel, flops=2 * m * n * k, shape=shape)


def _cpu_matrices(bench: Bench, shapes: Shapes) -> Iterator[Group]:
    """torch's kernels for each scheme at every shape; no group where none of them can run."""
    for element, scheme in _CPU_SCHEMES.items():
        cases = [Case.linear(SCHEMES[scheme], *shape) for shape in shapes]
        for kernel in own().for_providers(("torch",)):
            able = [c for c in cases if _can_run(kernel, c, bench.device)]
            if able:
                run = partial(_cpu_matrix, bench, element, kernel, able)
                yield Group(("matrix", element, kernel.name), run)


def _can_run(kernel: Kernel, case: Case, device: Device) -> bool:
    return kernel.made_for(case, device) and kernel.check(case, device) is None


def _sustained(bench: Bench) -> Bench:
    return replace(bench, settings=msgspec.structs.replace(bench.settings, mode="sustained"))


def _bandwidth(bench: Bench, stream: StreamKernel) -> Iterator[Ceiling]:
    build, moved = partial(stream.build, bench.device), stream.bytes_moved(bench.device)
    yield timed(bench, build, "bandwidth", stream.name, stream.kernel, bytes_moved=moved)


def _cpu_matrix(bench: Bench, element: str, kernel: Kernel, cases: list[Case]) -> Iterator[Ceiling]:
    for case in cases:
        build = partial(kernel.build, Problem(case, bench.device, bench.settings.seed))
        shape = (case.m, case.n, case.k)
        yield timed(bench, build, "matrix", element, kernel.name, flops=case.flops, shape=shape)
