"""Weight-only formats in Triton: weights in tensor-core order, K split across programs, one launch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quantroof.hwprofiles.types import Device
from quantroof.kernels.architectures import MMA_SYNC, TCGEN05
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.linear.packed_weight import kind_of, packed_weight
from quantroof.kernels.linear.tiling import (
    FEW_ROWS,
    Tiling,
    balanced_split,
    one_wave_split,
    padded_rows,
    useful_splits,
)
from quantroof.kernels.linear.tuned import choose
from quantroof.kernels.linear.workspace import workspace
from quantroof.kernels.program import MachineCode, Program, Target
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

FAMILY = "weight_only"
_GROUPS = (32, 64, 128)
_MAX_PACKED_BYTES = 2**31  # offsets into the packed weight are 32-bit


def check_weight(case: Case, device: Device) -> Skip | None:
    """Why a weight cannot be packed in fragment order, or None."""
    kind = kind_of(case)
    if case.weight.swizzled:
        return Skip("triton's weight-only kernels lay scales out themselves: name the plain format")
    if kind.grouped and case.weight.element.block is None and case.weight.group not in _GROUPS:
        return Skip(f"triton's weight-only kernels take groups of 32, 64 or 128, not {case.weight.group}")
    if case.weight_rows * case.k * kind.bits // 8 >= _MAX_PACKED_BYTES:
        return Skip("triton's weight-only kernels address at most 2 GiB of packed weights")
    return (
        needs_capability(device, (8, 0), "bf16 matrix instructions")
        or needs_multiple(case.weight_rows, 64, "N", "the fragment order")
        or needs_multiple(case.k, 128, "K", "the fragment order")
    )


def formula(case: Case, target: Target) -> Tiling:
    """Memory-bound cases fill the machine by splitting K, wide ones take large tiles."""
    kind = kind_of(case)
    bn = 128 if case.n % 128 == 0 else 64
    bm = padded_rows(case.m, 128 if target.has_wide_matrix_instructions else 64)
    warps = bn // 16 if bm >= 64 else 4
    stages = 4 if bm < 64 else 3
    tiles = (case.n // bn) * -(-case.m // bm)
    if case.m > 64:
        step = kind.step if kind.bits == 4 else 64
        split = one_wave_split(tiles, case.k // step, target) if case.m <= FEW_ROWS else 1
        return Tiling(bn=bn, bm=bm, bk=step, split=split, num_warps=warps, num_stages=stages)
    split = balanced_split(tiles, case.k // kind.step, target)
    return Tiling(bn=bn, bm=bm, bk=kind.step, split=split, num_warps=warps, num_stages=stages)


def space(case: Case, target: Target) -> list[Tiling]:
    """Tilings worth timing for a case."""
    kind, start = kind_of(case), formula(case, target)
    found = [
        Tiling(bn=bn, bm=bm, bk=start.bk, split=split, num_warps=warps, num_stages=stages)
        for bn in (64, 128)
        if case.n % bn == 0
        for bm in ((start.bm,) if case.m <= 64 else (64, 128))
        for split in (
            useful_splits(case.n // bn * -(-case.m // bm), case.k // start.bk, target)
            if case.m <= 64
            else sorted({1, 2, start.split})
        )
        for warps in ((4,) if bn == 64 or bm < 64 else (4, 8))
        for stages in (3, 4, 5)
    ]
    return [tiling for tiling in found if tiling.fits(target, kind.bits, case.activation.element.bits)]


def program(case: Case, target: Target) -> Program:
    """The device code for a case."""
    from quantroof.kernels.linear.device.weight_only import weight_only_linear

    kind, tile = kind_of(case), choose(FAMILY, case, target, formula)
    group = case.weight.group or case.k
    scaled = "end"
    if kind.grouped:
        whole = group == tile.bk and tile.bm <= 32 and kind.kind != "nf4"
        scaled = "accumulator" if whole else "weights"
    return Program(
        function=weight_only_linear,
        grid=(case.n // tile.bn, tile.split, -(-case.m // tile.bm)),
        arguments=(
            *("*bf16", "*u8", kind.scale_type, "*i32", "*i32", "*bf16", "*fp32", "*i32"),
            *("i32", "i32:16", "i32:16"),
        ),
        constants={
            "BN": tile.bn,
            "BM": tile.bm,
            "BK": tile.bk,
            "GROUP": group,
            "SPLIT": tile.split,
            "KIND": kind.kind,
            "SCALED": scaled,
            "ORDERED": case.weight.act_order,
            "WIDE": not target.has_wide_matrix_instructions,
            "STAGES": tile.num_stages,
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
        weights_per_iteration=tile.bn * tile.bk,
    )


def _build(problem: Problem) -> Prepared:
    import torch

    case = problem.case
    code = program(case, Target.of(problem.device))
    x = problem.arriving
    y = torch.full((case.m, case.n), float("nan"), dtype=torch.bfloat16, device=x.device)
    partials, counters = workspace(code, x.device, torch.float32)

    def call(packed: Any, scales: Any, zeros: Any, order: Any) -> torch.Tensor:
        code.launch(x, packed, scales, zeros, order, y, partials, counters, case.m, case.n, case.k)
        return y

    hot = ("activations", "output", "workspace") if code.grid[1] > 1 else ("activations", "output")
    return Prepared(packed_weight(problem, wide=bool(code.constants["WIDE"])), call, code.config(), hot)


PTX = "PTX unpacks its weights, at which AMD's compiler ends its process"
_EXPECTS = {
    **dict.fromkeys(MMA_SYNC, "matrix:HMMA"),
    "sm_90a": "matrix:HGMMA",
    **dict.fromkeys(TCGEN05, "matrix:UTCHMMA"),
}


def _machine_code(weight: str, budget: float | None = None, *more: str) -> MachineCode:
    """M = 1 and 256 of a format at N = K = 4096, and further cases by their formats and shapes."""
    gemv = f"gemv/{weight}-bf16-bf16/m1-n4096-k4096"
    gemm = f"gemm/{weight}-bf16-bf16/m256-n4096-k4096"
    budgets = {(gemv, "sm_90a"): budget} if budget else {}
    return MachineCode((gemv, gemm, *more), program, _EXPECTS, budgets, (FAMILY, space), not_portable=PTX)


def _kernel(name: str, scheme: str, summary: str, machine_code: MachineCode) -> Kernel:
    return Kernel(
        name,
        "triton",
        (scheme,),
        _build,
        check_weight,
        targets=("gpu",),
        summary=summary,
        machine_code=machine_code,
    )


KERNELS = (
    _kernel(
        "triton.int4",
        "int4-w4a16",
        "fragment-order weights, lop3 dequantization, split-K in one launch",
        _machine_code(
            "int4.g128",
            3.0,
            "gemm/int4.g128-bf16-bf16/m64-n4096-k4096",
            "gemv/int4.g32-bf16-bf16/m1-n4096-k4096",
        ),
    ),
    _kernel(
        "triton.int4_zp",
        "int4-zp-w4a16",
        "as triton.int4, a zero point a group",
        _machine_code("int4.g128.zp"),
    ),
    _kernel(
        "triton.int4_actorder",
        "int4-actorder-w4a16",
        "as triton.int4, activations gathered in the weights' order",
        _machine_code("int4.g128.actorder"),
    ),
    _kernel(
        "triton.nf4",
        "nf4-w4a16",
        "levels looked up by byte permutes in registers",
        _machine_code("nf4.g64", 4.2),
    ),
    _kernel(
        "triton.mxfp4",
        "mxfp4-w4a16",
        "bits laid out for one rotation and one mask per pair, scales on the weights",
        _machine_code("mxfp4.g32", 3.05),
    ),
    _kernel(
        "triton.nvfp4",
        "nvfp4-w4a16",
        "as triton.mxfp4, a scale per 16 weights and one per tensor",
        _machine_code("nvfp4.g16"),
    ),
    _kernel(
        "triton.int8_weight", "int8-w8a16", "int8 to bf16 by lop3 in registers", _machine_code("int8.channel")
    ),
    _kernel(
        "triton.fp8_weight",
        "fp8-w8a16",
        "e4m3 to bf16 by shifts, on every GPU",
        _machine_code("fp8_e4m3.channel"),
    ),
)
