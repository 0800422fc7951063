"""The int4 kernel in CUDA C++ without a GPU: its own source, compiled for the host, against float64."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Skip
from quantroof.kernels.linear.cupy_int4 import pack_codes, pack_scales
from quantroof.kernels.problem import Problem, tolerance
from quantroof.kernels.quantize import Quantized
from quantroof.kernels.reference import reference_of
from quantroof.kernels.sass.native import read_source

_CPU = Device(kind="cpu", index=0, name="cpu")
_HERE = Path(__file__).parent
_DRIVER = """
extern "C" void run(const unsigned short* x, const uint4* packed, const uint2* scales, unsigned short* y,
                    int m, int n, int k) {
  run_blocks(n / 32, 32 * WARPS, [=] { int4_gemv(x, packed, scales, y, m, n, k); });
}
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The kernel's source under a header that plays a warp with 32 threads."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("g++ is not installed")
    folder = tmp_path_factory.mktemp("host")
    source = f'#include "warp_on_host.h"\n{read_source("linear/device/int4_gemv.cu")}\n{_DRIVER}'
    (folder / "kernel.cpp").write_text(source)
    command = [compiler, "-std=c++20", "-O1", "-w", "-shared", "-fPIC", "-pthread", f"-I{_HERE}"]
    subprocess.run([*command, "-o", str(folder / "kernel.so"), str(folder / "kernel.cpp")], check=True)
    return ctypes.CDLL(str(folder / "kernel.so"))


def _run(library: ctypes.CDLL, problem: Problem, weight: Quantized) -> torch.Tensor:
    """y [M, N] of a problem's activations with a weight, computed lane by lane."""
    case, x = problem.case, problem.arriving.contiguous()
    packed, scales = pack_codes(weight.codes + 8), pack_scales(weight.scale)
    y = torch.full((case.m, case.n), float("nan"), dtype=torch.bfloat16)
    pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in (x, packed, scales, y)]
    library.run(*pointers, case.m, case.n, case.k)
    return y


@pytest.mark.parametrize(
    ("m", "n", "k"), [(1, 64, 128), (1, 96, 1024), (3, 32, 1152), (8, 64, 512), (2, 32, 5120)]
)
def test_the_source_matches_float64(library: ctypes.CDLL, m: int, n: int, k: int) -> None:
    """Warps without work, one group each, and more groups than are in flight; 1 to 8 rows."""
    case = Case.parse(f"{'gemv' if m == 1 else 'gemm'}/int4.g128-bf16-bf16/m{m}-n{n}-k{k}")
    problem = Problem(case, _CPU, seed=k)
    y = _run(library, problem, problem.weight).double()
    expected = reference_of(problem).exact
    error = torch.linalg.norm(y - expected) / torch.linalg.norm(expected)
    assert float(error) < tolerance(case) / 4


def test_every_weight_and_scale_is_in_its_place(library: ctypes.CDLL) -> None:
    """A damaged code or scale of any one row shows in that row alone."""
    problem = Problem(Case.parse("gemv/int4.g128-bf16-bf16/m1-n32-k256"), _CPU)
    weight = problem.weight
    good = _run(library, problem, weight)
    for row in (0, 7, 8, 15, 16, 31):
        codes, scales = weight.codes.clone(), weight.scale.clone()
        codes[row] *= -1
        scales[row, 1] *= 3
        damaged = _run(library, problem, replace(weight, codes=codes, scales=scales))
        assert torch.nonzero((damaged != good)[0]).flatten().tolist() == [row]


def test_what_it_cannot_do_is_skipped_with_a_reason() -> None:
    """More rows, other groups, odd N, older GPUs; and a missing cupy is reported when the kernel is built."""
    kernel = registry.load().kernels["cupy.int4"]
    gpu = Device(kind="cuda", index=0, name="gpu", compute_capability="9.0")
    assert kernel.check(Case.parse("gemm/int4.g128-bf16-bf16/m8-n32-k128"), gpu) is None
    for text in ("m9-n32-k128", "m8-n48-k128"):
        assert kernel.check(Case.parse(f"gemm/int4.g128-bf16-bf16/{text}"), gpu) is not None
    assert kernel.check(Case.parse("gemm/int4.g64-bf16-bf16/m8-n32-k128"), gpu) is not None
    if find_spec("cupy") is None:
        problem = Problem(Case.parse("gemv/int4.g128-bf16-bf16/m1-n32-k128"), _CPU)
        skip = kernel.build(problem)
        assert isinstance(skip, Skip)
        assert "cupy" in skip.reason
