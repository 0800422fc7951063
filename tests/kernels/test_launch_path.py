"""The way to a launch without a GPU: Triton's own specialization of real arguments, up to the machine code.

A stand-in for the driver names an architecture; everything before the launch itself is Triton's: it looks at
pointers, integers and tensor descriptors and decides what to compile. What was compiled ahead must be found
in the cache then: the code under test is what runs, and the tuner's parallel compilation is not in vain.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

_CASES = [
    ("triton.int4", "gemv/int4.g128-bf16-bf16/m1-n256-k1024"),
    ("triton.int4_zp", "gemv/int4.g128.zp-bf16-bf16/m1-n256-k1024"),
    ("triton.int4_actorder", "gemm/int4.g128.actorder-bf16-bf16/m7-n256-k1024"),
    ("triton.nf4", "gemv/nf4.g64-bf16-bf16/m1-n256-k1024"),
    ("triton.mxfp4", "gemv/mxfp4.g32-bf16-bf16/m1-n256-k1024"),
    ("triton.nvfp4", "gemm/nvfp4.g16-bf16-bf16/m17-n256-k1024"),
    ("triton.attention", "decode_attention/int8.token-bf16-bf16/b2-h8-g2-d64-c272"),
    ("triton.int8_weight", "gemv/int8.channel-bf16-bf16/m1-n256-k1024"),
    ("triton.fp8_weight", "gemm/fp8_e4m3.channel-bf16-bf16/m17-n256-k1024"),
    ("triton.bf16", "gemv/bf16-bf16-bf16/m1-n256-k1024"),
    ("triton.bf16", "gemm/bf16-bf16-bf16/m257-n512-k256"),
    ("triton.fp16", "gemm/fp16-fp16-fp16/m257-n512-k256"),
    ("triton.fp8", "gemm/fp8_e4m3.tensor-fp8_e4m3.tensor-bf16/m257-n512-k256"),
    ("triton.quant+fp8", "gemm/fp8_e4m3.channel-fp8_e4m3.token.from_bf16-bf16/m256-n512-k256"),
    ("triton.int8", "gemv/int8.channel-int8.token-bf16/m1-n512-k1024"),
    ("triton.quant+int8", "gemm/int8.channel-int8.token.from_bf16-bf16/m256-n512-k256"),
    ("triton.act_quant", "act_quant/none-bf16-fp8_e4m3.token/m5-n1040-k1040"),
    ("triton.dequantize", "dequantize/int4.g128-none-bf16/m256-n1024-k1024"),
    ("triton.dequant+linear", "gemm/int4.g128.zp-bf16-bf16/m65-n256-k1024"),
]


@pytest.fixture(scope="module")
def hopper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessPoolExecutor]:
    """Two processes whose Triton is given a GPU of compute capability 9.0."""
    cache = str(tmp_path_factory.mktemp("triton"))
    pool = ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=_stand_in, initargs=(cache,))
    yield pool
    pool.shutdown(cancel_futures=True)


_EXAMPLES = [
    case if index % 3 == 0 else pytest.param(*case, marks=pytest.mark.long)
    for index, case in enumerate(_CASES)
]


@pytest.mark.parametrize(("kernel", "case"), _EXAMPLES)
def test_a_launch_finds_what_was_compiled_ahead(hopper: ProcessPoolExecutor, kernel: str, case: str) -> None:
    """No second compilation, and no scratch memory that a launch inside a graph would have to allocate."""
    seen = hopper.submit(_launch, kernel, case).result(timeout=300)
    assert seen["launches"] >= 1
    assert seen["compiled_again"] == []
    assert seen["scratch_bytes"] == 0


class _Driver:
    """What Triton asks of a driver before it launches."""

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", 90, 32)

    def get_current_device(self) -> int:
        return 0

    def get_current_stream(self, device: int) -> int:
        return 0


def _stand_in(cache: str) -> None:
    os.environ["TRITON_CACHE_DIR"] = f"{cache}/{os.getpid()}"
    import torch
    from triton.runtime import driver

    torch.set_num_threads(1)
    driver.set_active(_Driver())


def _launch(kernel: str, case: str) -> dict[str, Any]:
    """Build a kernel on CPU tensors and call it, every launch replaced by Triton's way to one."""
    from quantroof.hwprofiles.types import Device
    from quantroof.kernels import registry
    from quantroof.kernels.cases import Case
    from quantroof.kernels.kernel import Skip
    from quantroof.kernels.problem import Problem
    from quantroof.kernels.program import Program
    from quantroof.kernels.sass.ahead import compile_ahead

    seen: dict[str, Any] = {"launches": 0, "compiled_again": [], "scratch_bytes": 0}

    def launch(self: Program, *arguments: Any) -> None:
        compile_ahead(self, "sm_90a")
        before = _cached()
        options = {**self.constants, **self.compile_options}
        compiled = self.function.run(*arguments, grid=self.grid, warmup=True, **options)
        seen["launches"] += 1
        seen["compiled_again"] += sorted(_cached() - before)
        seen["scratch_bytes"] += getattr(compiled.metadata, "global_scratch_size", 0) or 0

    original, Program.launch = Program.launch, launch  # type: ignore[method-assign]
    try:
        device = Device(kind="cpu", index=0, name="stand-in", compute_capability="9.0", sm_count=132)
        prepared = registry.load().kernels[kernel].build(Problem(Case.parse(case), device, seed=7))
        assert not isinstance(prepared, Skip)
        prepared.call(*prepared.weights)
    finally:
        Program.launch = original  # type: ignore[method-assign]
    return seen


def _cached() -> set[str]:
    """Folders of the cache: one per compilation."""
    return {path.name for path in Path(os.environ["TRITON_CACHE_DIR"]).glob("*")}
