"""int4 weight-only in Triton: weights in tensor-core order, K split across programs, one launch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.linear.skinny import Tiling, balanced_split, padded_rows
from quantroof.kernels.problem import Problem
from quantroof.kernels.program import MachineCode, Program, Target
from quantroof.kernels.registry import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

_BK = 128
_GROUPS = (32, 64, 128)
_MAX_PACKED_BYTES = 2**31  # offsets into the packed weight are 32-bit
_ARGUMENTS = ("*bf16", "*u8", "*bf16", "*bf16", "*fp32", "*i32", "i32", "i32:16", "i32:16")


def _check(case: Case, device: Device) -> Skip | None:
    if case.weight.group not in _GROUPS:
        return Skip(f"triton.int4 takes groups of 32, 64 or 128, not {case.weight.group}")
    if case.n * case.k // 2 >= _MAX_PACKED_BYTES:
        return Skip("triton.int4 addresses at most 2 GiB of packed weights")
    return (
        needs_capability(device, (8, 0), "bf16 matrix instructions")
        or needs_multiple(case.n, 64, "N", "triton.int4")
        or needs_multiple(case.k, _BK, "K", "triton.int4")
    )


def tiling(case: Case, target: Target) -> Tiling:
    """The formula: memory-bound cases fill the machine by splitting K, wide ones take large tiles."""
    bn = 128 if case.n % 128 == 0 else 64
    # mma.sync keeps both operands and the accumulator in registers: half the width of wgmma's tiles.
    widest = 128 if target.capability in ((9, 0), (10, 0), (10, 3)) else 64
    bm = padded_rows(case.m, widest)
    warps = bn // 16 if bm >= 64 else 4
    if case.m > 64:
        return Tiling(bn, bm, _BK, 1, warps, 3)
    tiles = (case.n // bn) * -(-case.m // bm)
    split = balanced_split(tiles, case.k // _BK, target)
    return Tiling(bn, bm, _BK, split, warps, 4 if bm < 64 else 3)


def program(case: Case, target: Target) -> Program:
    """The device code for a case."""
    from quantroof.kernels.linear.device.int4 import int4_linear

    tile = tiling(case, target)
    group = case.weight.group or case.k
    return Program(
        function=int4_linear,
        grid=(case.n // tile.bn, tile.split, -(-case.m // tile.bm)),
        arguments=_ARGUMENTS,
        constants={
            "BN": tile.bn,
            "BM": tile.bm,
            "BK": tile.bk,
            "GROUP": group,
            "SPLIT": tile.split,
            "ON_ACCUMULATOR": group == tile.bk and tile.bm <= 32,
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
        weights_per_iteration=tile.bn * tile.bk,
    )


def _build(problem: Problem) -> Prepared:
    import torch

    from quantroof.kernels.linear.device.fragments import pack_4bit

    case = problem.case
    code = program(case, Target.of(problem.device))
    x = problem.arriving
    y = torch.empty(case.m, case.n, dtype=torch.bfloat16, device=x.device)
    partials, counters = _workspace(code, x.device)
    packed = pack_4bit((problem.weight.codes + 8).to(torch.uint8))
    scales = problem.weight.scale.T.bfloat16().contiguous()

    def call(packed: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        code.launch(x, packed, scales, y, partials, counters, case.m, case.n, case.k)
        return y

    hot = ("activations", "output", "workspace") if code.grid[1] > 1 else ("activations", "output")
    return Prepared((packed, scales), call, code.config(), hot)


def _workspace(code: Program, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Partial sums and zeroed counters of one Prepared, which serves one stream at a time."""
    import torch

    tiles_n, split, tiles_m = code.grid
    size = code.constants["BN"] * code.constants["BM"] * split if split > 1 else 0
    partials = torch.empty(max(1, tiles_n * tiles_m * size), dtype=torch.float32, device=device)
    return partials, torch.zeros(tiles_n * tiles_m, dtype=torch.int32, device=device)


_GEMV = "gemv/int4.g128-bf16-bf16/m1-n4096-k4096"
_MACHINE_CODE = MachineCode(
    cases=(
        _GEMV,
        "gemm/int4.g128-bf16-bf16/m64-n4096-k4096",
        "gemm/int4.g128-bf16-bf16/m256-n4096-k4096",
        "gemv/int4.g32-bf16-bf16/m1-n4096-k4096",
    ),
    program=program,
    expects={
        "sm_80": "matrix:HMMA",
        "sm_86": "matrix:HMMA",
        "sm_89": "matrix:HMMA",
        "sm_90a": "matrix:HGMMA",
        "sm_100a": "matrix:UTCHMMA",
        "sm_120a": "matrix:HMMA",
    },
    budget={(_GEMV, "sm_90a"): 3.0},
)

KERNELS = (
    Kernel(
        "triton.int4",
        "triton",
        ("int4-w4a16",),
        _build,
        _check,
        targets=("gpu",),
        summary="fragment-order weights, lop3 dequantisation, split-K in one launch",
        machine_code=_MACHINE_CODE,
    ),
)
