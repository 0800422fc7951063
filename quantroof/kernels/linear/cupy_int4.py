"""int4 weight-only for few rows in CUDA C++, launched by cupy; Triton cannot express this kernel.

Triton pads M to 16 and takes operands through shared memory, one barrier per step; `device/int4_gemv.cu` uses
the instruction with 8 columns on fragments that come straight from DRAM.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.hwprofiles.types import Device
from quantroof.kernels.architectures import NVIDIA
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.program import CudaProgram, MachineCode, Target
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

# As in the source: columns of the output a block, rows of the matrix instruction's other operand.
_BLOCK_N, _GROUP, _MAX_ROWS = 32, 128, 8
_WARPS, _DEPTH = 8, 3
_PROGRAM = CudaProgram(
    "linear/device/int4_gemv.cu",
    "int4_gemv",
    num_warps=_WARPS,
    weights_per_iteration=_WARPS * _DEPTH * _BLOCK_N * _GROUP,
)


def _check(case: Case, device: Device) -> Skip | None:
    what = "the CUDA C++ int4 kernel"
    if case.m > _MAX_ROWS:
        return Skip(f"{what} takes at most {_MAX_ROWS} rows, not {case.m}")
    if case.weight.group != _GROUP:
        return Skip(f"{what} takes groups of {_GROUP}, not {case.weight.group}")
    return needs_capability(device, (8, 0), "bf16 matrix instructions") or needs_multiple(
        case.n, _BLOCK_N, "N", what
    )


def pack_codes(codes: torch.Tensor) -> torch.Tensor:
    """Codes [N, K] of 0..15 -> uint8 [N / 32, K / 128, 2048], in the order that the source describes."""
    import torch

    n, k = codes.shape
    split = codes.to(torch.uint8).view(n // 32, 2, 2, 8, k // 128, 2, 4, 4, 2, 2)
    names, packed = "bthgcfqspe", "bctfgqseph"  # block tile h row | chunk half quad step p e
    ordered = split.permute([names.index(axis) for axis in packed]).contiguous()
    return (ordered[..., 0] | ordered[..., 1] << 4).reshape(n // 32, k // 128, 2048)


def pack_scales(scales: torch.Tensor) -> torch.Tensor:
    """Scales [N, K / 128] -> bf16 [N / 32, K / 128, 8, 4]: the four rows of a lane side by side."""
    n, groups = scales.shape
    split = scales.bfloat16().view(n // 32, 2, 2, 8, groups)
    return split.permute(0, 4, 3, 1, 2).reshape(n // 32, groups, 8, 4).contiguous()


def _build(problem: Problem) -> Prepared | Skip:
    import numpy as np
    import torch

    from quantroof.kernels.ceilings.launch import CudaKernel, unavailable

    if (skip := unavailable()) is not None:
        return skip
    case, x = problem.case, problem.arriving
    kernel = CudaKernel(problem.device, _PROGRAM.source, _PROGRAM.name, _PROGRAM.options)
    y = torch.full((case.m, case.n), float("nan"), dtype=torch.bfloat16, device=x.device)
    shape = tuple(np.int32(size) for size in (case.m, case.n, case.k))

    def call(packed: torch.Tensor, scales: torch.Tensor) -> torch.Tensor:
        kernel(case.n // _BLOCK_N, 32 * _WARPS, x, packed, scales, y, *shape)
        return y

    weights = (pack_codes(problem.weight.codes + 8), pack_scales(problem.weight.scale))
    return Prepared(weights, call, {"num_warps": _WARPS, "groups_in_flight": _DEPTH})


def program(_: Case, __: Target) -> CudaProgram:
    """The device code, the same for every case."""
    return _PROGRAM


_GEMV = "gemv/int4.g128-bf16-bf16/m1-n4096-k4096"
KERNELS = (
    Kernel(
        "cupy.int4",
        "cupy",
        ("int4-w4a16",),
        _build,
        _check,
        targets=("gpu",),
        summary="CUDA C++: fragments from DRAM to registers, mma.sync with 8 columns, up to 8 rows",
        machine_code=MachineCode(
            (_GEMV,),
            program,
            dict.fromkeys(NVIDIA, "matrix:HMMA"),
            {(_GEMV, arch): 1.6 for arch in NVIDIA},
            not_portable="CUDA C++ is not compiled for AMD",
        ),
    ),
)
