"""The CUDA C++ sources of the ceilings: they compile for every architecture and do what they count."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from quantroof.errors import EnvironmentMissing
from quantroof.hwprofiles.types import Device
from quantroof.kernels.ceilings import rates
from quantroof.kernels.ceilings.instructions import INSTRUCTIONS
from quantroof.kernels.ceilings.launch import arch_of
from quantroof.kernels.sass.batch import read_cubins
from quantroof.kernels.sass.cubin import CodeReport, read_cubin
from quantroof.kernels.sass.native import ARCHITECTURES, compile_instruction, read_source
from quantroof.kernels.sass.nvrtc import compile_cuda
from tests.hwprofiles.boards import h200
from tests.kernels.disassembler import or_skipped_where_it_is_too_old

H200 = h200()


@cache
def code(arch: str) -> dict[str, dict[str, CodeReport]]:
    """The machine code of every kernel of the sources without instructions, by source and name."""
    sources = ("stream.cu", "onchip.cu")
    cubins = [compile_cuda(read_source(source), arch, name=source) for source in sources]
    with or_skipped_where_it_is_too_old():
        reports = read_cubins(cubins, arch)
    return {s: {report.name: report for report in found} for s, found in zip(sources, reports, strict=True)}


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_streams_keep_eight_wide_accesses_in_flight_without_spilling(arch: str) -> None:
    """Read and copy load 8 x 16 bytes before they use any; nothing goes to local memory."""
    kernels = code(arch)["stream.cu"]
    assert set(kernels) == {"stream_read", "stream_write", "stream_copy", "stream_triad"}
    assert kernels["stream_read"].loop_opcodes["LDG"] == 8
    assert kernels["stream_copy"].loop_opcodes["LDG"] == kernels["stream_copy"].loop_opcodes["STG"] == 8
    assert kernels["stream_triad"].loop_opcodes["LDG"] == 2
    assert all(kernel.spill_instructions == 0 for kernel in kernels.values())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_on_chip_kernels_do_the_work_they_count(arch: str) -> None:
    """16 shared loads and 128 multiply-adds a pass survive the optimizer; the L2 is read past the L1."""
    kernels = code(arch)["onchip.cu"]
    assert kernels["shared_read"].loop_opcodes["LDS"] == 16
    fma = kernels["fma_rate"].loop_opcodes
    assert fma.get("FFMA", 0) + 2 * fma.get("FFMA2", 0) == 128
    assert kernels["l2_read"].loop_opcodes["LDG"] == 1
    assert all(kernel.spill_instructions == 0 for kernel in kernels.values())


def test_the_instruction_kernel_repeats_eight_products_a_turn() -> None:
    """Eight independent accumulators: what `matrix_instructions` counts."""
    int8 = next(i for i in INSTRUCTIONS if i.name == "mma.sync/int8/int32")
    (report,) = read_cubin(compile_instruction(int8, "sm_90a"))
    assert report.loop_opcodes["IMMA"] == 8
    assert report.spill_instructions == 0


def test_streams_count_every_array_once() -> None:
    """The size is that of all arrays together, in whole 16-byte words of each."""
    for operation, arrays in rates.STREAMS.items():
        for size in rates.SIZES:
            rate = rates.stream(H200, operation, size, (2, 512))
            assert rate.amount <= size
            assert rate.amount > size - 16 * arrays
            assert rate.cold


def test_instruction_rates_count_two_operations_a_multiply_add() -> None:
    """m16n8k64 is 16384 operations; a call multiplies that by chains, turns, warps and blocks."""
    found = {i.name: rate for i, rate in rates.matrix_instructions(H200, iterations=10)}
    assert found["mma.sync/int4/int32"].amount == 2 * 16 * 8 * 64 * 8 * 10 * 8 * 264
    assert found["mma.sync/fp16/fp32"].amount == 2 * 16 * 8 * 16 * 8 * 10 * 8 * 264
    assert all(rate.quantity == "instruction" and not rate.cold for rate in found.values())


def test_on_chip_rates_stay_on_the_chip() -> None:
    """The L2 test reads a quarter of the L2, and is left out where its size is unknown."""
    (l2,) = [r for r in rates.on_chip(H200) if r.name == "l2_read"]
    assert l2.amount // 64 <= 62_914_560 // 4
    unknown = Device(kind="cuda", index=0, name="x", compute_capability="9.0", sm_count=132)
    assert [r.name for r in rates.on_chip(unknown)] == ["shared_read", "fma/fp32"]


@pytest.mark.parametrize(
    ("capability", "arch"),
    [("8.0", "sm_80"), ("8.9", "sm_89"), ("9.0", "sm_90a"), ("10.3", "sm_103a"), ("12.0", "sm_120a")],
)
def test_a_device_is_compiled_for_with_its_own_instructions(capability: str, arch: str) -> None:
    """From Hopper on the architecture-specific target."""
    assert arch_of(Device(kind="cuda", index=0, name="x", compute_capability=capability)) == arch


def test_what_is_not_nvidias_is_not_compiled_for() -> None:
    """9.4 is AMD's gfx942: an error with that reason, not a Hopper target of the number 94."""
    with pytest.raises(EnvironmentMissing, match=r"9\.4 is not an NVIDIA capability known to us"):
        arch_of(Device(kind="cuda", index=0, name="x", compute_capability="9.4"))


HARNESS = """
#include <cstdio>
#include <cstring>
#include <vector>
struct uint4 { unsigned x, y, z, w; };
struct float4 { float x, y, z, w; };
static uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct Place { unsigned x; } blockIdx, threadIdx, blockDim, gridDim;
#define __global__
#define __device__
#define __forceinline__ inline
#define __restrict__
template <class T> T __ldcs(const T *p) { return *p; }
template <class T> void __stcs(T *p, T v) { *p = v; }
#include SOURCE
template <class F> void launch(unsigned grid, unsigned block, F kernel) {
  gridDim.x = grid; blockDim.x = block;
  for (blockIdx.x = 0; blockIdx.x < grid; blockIdx.x++)
    for (threadIdx.x = 0; threadIdx.x < block; threadIdx.x++) kernel();
}
int main() {
  const unsigned counts[] = {1, 7, 63, 64, 65, 1000, 4097};
  for (unsigned count : counts) {
    std::vector<uint4> a(count + 1), b(count + 1);
    for (unsigned i = 0; i < count; i++) b[i] = {i * 4u, i * 4u + 1, i * 4u + 2, i * 4u + 3};
    a[count] = {1, 2, 3, 4};
    launch(3, 4, [&] { stream_copy(a.data(), b.data(), count); });
    if (memcmp(a.data(), b.data(), count * 16) || a[count].x != 1) return printf("copy %u", count), 1;
    unsigned wanted = 0, sink = 0;
    for (unsigned i = 0; i < count; i++) wanted ^= fold(b[i]);
    b[0].x ^= wanted ^ 0x9e3779b9u;  // now one thread that reads every word once must store
    launch(1, 1, [&] { stream_read(b.data(), count, &sink); });
    if (sink != 0x9e3779b9u) return printf("read %u", count), 1;
    launch(3, 4, [&] { stream_write(a.data(), count, 1); });
    for (unsigned i = 0; i < count; i++) if (!(a[i].x | a[i].y)) return printf("write %u", count), 1;
    if (a[count].x != 1) return printf("write past the end %u", count), 1;
    std::vector<float4> x(count), y(count), z(count);
    for (unsigned i = 0; i < count; i++) y[i] = {1.f * i, 2, 3, 4}, z[i] = {1, 1, 1, 1.f * i};
    launch(3, 4, [&] { stream_triad(x.data(), y.data(), z.data(), count, 2.f); });
    for (unsigned i = 0; i < count; i++)
      if (x[i].x != i + 2 || x[i].w != 4 + 2.f * i) return printf("triad %u", count), 1;
  }
  return 0;
}
"""


def test_streams_touch_every_word_once_whatever_the_size(tmp_path: Path) -> None:
    """The very source, run thread by thread on the CPU: sizes around the unrolled step and single words."""
    if shutil.which("g++") is None:
        pytest.skip("no g++ to run the source on the CPU with")
    source, harness, program = tmp_path / "stream.cu", tmp_path / "harness.cpp", tmp_path / "harness"
    source.write_text(read_source("stream.cu"))
    harness.write_text(HARNESS)
    command = ["g++", "-std=c++17", "-O1", f'-DSOURCE="{source}"', "-o", str(program), str(harness)]
    subprocess.run(command, check=True)
    done = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"wrong: {done.stdout}"


@pytest.mark.gpu
def test_cuda_streams_compute_on_this_gpu() -> None:
    """Copy and triad give the right arrays through cupy on torch's memory and stream."""
    import numpy as np
    import torch

    from quantroof.hwprofiles.detect import detect
    from quantroof.kernels.ceilings.launch import CudaKernel, unavailable

    if (reason := unavailable()) is not None:
        pytest.skip(reason.reason)
    device = detect().gpus[0]
    b = torch.randn(4097 * 4, device=f"cuda:{device.index}")
    a, c, count = torch.zeros_like(b), torch.randn_like(b), np.uint64(4097)
    CudaKernel(device, "stream.cu", "stream_copy")(8, 128, a, b, count)
    assert torch.equal(a, b)
    CudaKernel(device, "stream.cu", "stream_triad")(8, 128, a, b, c, count, np.float32(3.0))
    assert torch.allclose(a, b + 3 * c)
