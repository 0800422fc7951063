"""What the CUDA C++ ceilings measure: DRAM streams by size, caches, and the rates of single instructions.

Counting convention as everywhere: STREAM's for bytes, 2 operations per multiply-add. Only DRAM streams are
roofs; on-chip bandwidths and instruction rates are evidence (mma.sync is not the path of sm_90 and sm_100).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from quantroof.hwprofiles.types import Device
from quantroof.kernels.ceilings.instructions import INSTRUCTIONS, Instruction
from quantroof.kernels.ceilings.launch import CudaKernel
from quantroof.kernels.kernel import Prepared

_WORD_BYTES = 16
_WARP = 32
MIB = 1 << 20
SIZES = (1 * MIB, 4 * MIB, 16 * MIB, 64 * MIB, 256 * MIB, 1024 * MIB, 4096 * MIB)
LARGE, QUICK = 4096 * MIB, 1024 * MIB
# (blocks per SM, threads per block); which is best differs by part and operation, so the first sizes try all.
SHAPES = ((2, 512), (2, 1024), (4, 256), (8, 256), (32, 256))
SMALL, SMALL_SHAPE = 64 * MIB, (32, 256)  # up to this size also many short blocks
# Arrays of each operation, all read or written once: read, write, copy (a = b), triad (a = b + s c).
STREAMS = {"read": 1, "write": 1, "copy": 2, "triad": 3}


@dataclass(frozen=True, slots=True)
class Rate:
    """Something to time: `amount` bytes or operations per call. `cold` rates rotate past the L2."""

    quantity: Literal["bandwidth", "cache", "instruction"]
    name: str
    kernel: str
    amount: int
    cold: bool
    build: Callable[[], Prepared]


def stream(device: Device, operation: str, size: int, shape: tuple[int, int]) -> Rate:
    """A DRAM stream over arrays that hold `size` bytes together; the size-dependent floor of a layer."""
    arrays = STREAMS[operation]
    words = max(1, size // arrays // _WORD_BYTES)
    blocks, threads = shape
    grid = min(blocks * _sms(device), -(-words // threads))

    def build() -> Prepared:
        import numpy as np
        import torch

        kernel = CudaKernel(device, "stream.cu", f"stream_{operation}")
        where = f"cuda:{device.index}"
        values = torch.randn(words * _WORD_BYTES // 4, device=where)
        sink = torch.zeros(1, dtype=torch.int32, device=where)
        count = np.uint64(words)
        last: dict[str, tuple[Any, ...]] = {
            "read": (count, sink),
            "write": (count, np.uint32(12345)),
            "copy": (count,),
            "triad": (count, np.float32(3.0)),
        }

        def call(*operands: Any) -> Any:
            kernel(grid, threads, *operands, *last[operation])
            return operands[0]

        return Prepared((values,) * arrays, call, config={"blocks": grid, "threads": threads}, hot=())

    amount = arrays * words * _WORD_BYTES
    return Rate("bandwidth", operation, f"cuda.stream_{operation}/{blocks}x{threads}", amount, True, build)


def on_chip(device: Device) -> Iterator[Rate]:
    """L2 and shared-memory reads, fp32 multiply-adds."""
    sms = _sms(device)
    if device.llc_bytes is not None:
        # A quarter of the L2: on parts with two partitions half of it may hold copies of the other half.
        words, passes = device.llc_bytes // 4 // _WORD_BYTES, 64
        amount = words * _WORD_BYTES * passes
        yield Rate("cache", "l2_read", "cuda.l2_read", amount, False, partial(_l2, device, words, passes))
    passes, loads = 4096, 16
    amount = passes * loads * _WORD_BYTES * 2 * sms * 512
    yield Rate("cache", "shared_read", "cuda.shared_read", amount, False, partial(_shared, device, passes))
    amount = 2 * 8 * 16 * passes * 2 * sms * 512
    yield Rate("instruction", "fma/fp32", "cuda.fma_rate", amount, False, partial(_fma, device, passes))


def matrix_instructions(device: Device, iterations: int = 4096) -> Iterator[tuple[Instruction, Rate]]:
    """Every mma.sync instruction as a rate: 8 warps per block, 2 blocks per SM, 8 chains per warp."""
    warps, blocks, chains = 8, 2 * _sms(device), 8
    for instruction in INSTRUCTIONS:
        if instruction.flops is None:
            continue
        amount = instruction.flops * chains * iterations * warps * blocks
        build = partial(_mma, device, instruction, iterations, blocks, warps * _WARP)
        kernel = f"cuda.mma_rate/{instruction.name}"
        yield instruction, Rate("instruction", instruction.name, kernel, amount, False, build)


def _l2(device: Device, words: int, passes: int) -> Prepared:
    import numpy as np
    import torch

    kernel = CudaKernel(device, "onchip.cu", "l2_read")
    values = torch.randn(words * _WORD_BYTES // 4, device=f"cuda:{device.index}")
    sink = torch.zeros(1, dtype=torch.int32, device=values.device)
    grid, count, times = 2 * _sms(device), np.uint64(words), np.int32(passes)
    return Prepared((), lambda: kernel(grid, 1024, values, count, times, sink), hot=("everything",))


def _shared(device: Device, passes: int) -> Prepared:
    import numpy as np
    import torch

    kernel = CudaKernel(device, "onchip.cu", "shared_read")
    sink = torch.zeros(1, dtype=torch.int32, device=f"cuda:{device.index}")
    return Prepared((), lambda: kernel(2 * _sms(device), 512, np.int32(passes), sink), hot=("everything",))


def _fma(device: Device, passes: int) -> Prepared:
    import numpy as np
    import torch

    kernel, grid = CudaKernel(device, "onchip.cu", "fma_rate"), 2 * _sms(device)
    out = torch.zeros(grid * 512, device=f"cuda:{device.index}")
    factor = np.float32(0.999)  # keeps the values bounded
    return Prepared((), lambda: kernel(grid, 512, np.int32(passes), factor, out), hot=("everything",))


def _mma(device: Device, instruction: Instruction, iterations: int, blocks: int, threads: int) -> Prepared:
    import numpy as np
    import torch

    kernel = CudaKernel(device, instruction.source, "mma_rate", instruction.defines)
    where = f"cuda:{device.index}"
    seed = _operands(instruction).to(where)
    out = torch.zeros(blocks * threads, dtype=torch.int32, device=where)
    count = np.int32(iterations)
    return Prepared((), lambda: kernel(blocks, threads, seed, out, count), hot=("everything",))


def _operands(instruction: Instruction) -> Any:
    """4096 words of random operands; for floating formats small normal values, so that nothing overflows."""
    import torch

    generator = torch.Generator().manual_seed(0)
    if instruction.element in ("fp16", "bf16", "tf32"):
        dtype = {"fp16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32}[instruction.element]
        count = 4096 * 4 // dtype.itemsize
        return torch.randn(count, generator=generator).mul_(0.05).to(dtype).view(torch.int32)
    if instruction.element.startswith("fp8"):
        kind = torch.float8_e4m3fn if "e4m3" in instruction.element else torch.float8_e5m2
        return torch.randn(4096 * 4, generator=generator).mul_(0.05).to(kind).view(torch.int32)
    return torch.randint(-(2**31), 2**31, (4096,), generator=generator, dtype=torch.int64).to(torch.int32)


def _sms(device: Device) -> int:
    assert device.sm_count is not None, "a CUDA device reports its SMs"
    return device.sm_count
