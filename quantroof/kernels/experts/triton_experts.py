"""Grouped products of experts in Triton: bf16, fp8, int4 and MXFP4 weights, rows contiguous or in slots.

Contiguous rows have a plan of tiles that the host makes when the routing is known. In the masked layout
every expert has the same number of slots, and the device reads how many of them hold rows, as engines need
where a CUDA graph must serve every routing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from quantroof.hwprofiles.types import Device
from quantroof.kernels.act_quant.rows import quantize_rows_program
from quantroof.kernels.architectures import MMA_SYNC, TCGEN05
from quantroof.kernels.cases import Case
from quantroof.kernels.experts.case import ExpertsCase
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.linear.packed_weight import kind_of, packed_weight
from quantroof.kernels.linear.tiling import padded_rows
from quantroof.kernels.linear.triton_weight_only import PTX, check_weight
from quantroof.kernels.program import MachineCode, Program, Target
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

_MOST_ROWS = 64
_KINDS = {"bf16": "plain", "fp8_e4m3": "scaled", "int4": "int4", "mxfp4": "fp4"}


def _check(case: Case, device: Device) -> Skip | None:
    what = "triton's grouped product"
    if case.weight.element.bits == 4:
        return check_weight(case, device) or needs_multiple(case.n, 64, "N", what)
    fp8 = case.weight.element.bits == 8
    return (
        needs_capability(device, (8, 9) if fp8 else (8, 0), f"{case.compute.name} matrix instructions")
        or needs_multiple(case.k, 128, "K", what)
        or needs_multiple(case.n, 64, "N", what)
    )


def tile_rows(case: ExpertsCase) -> int:
    """BM: the multiple to which the rows of an expert are padded, from its share of all rows."""
    active = sum(rows > 0 for rows in case.rows)
    return padded_rows(-(-case.m // max(1, active)), _MOST_ROWS)


def contiguous_plan(case: ExpertsCase) -> list[tuple[int, int, int]]:
    """(expert, first row, rows left) of each tile of rows; experts without rows have none."""
    block, first, plan = tile_rows(case), 0, []
    for expert, rows in enumerate(case.rows):
        plan += [(expert, first + done, rows - done) for done in range(0, rows, block)]
        first += rows
    return plan


def slots(case: ExpertsCase) -> int:
    """Tiles of rows that every expert has in the masked layout: those of the fullest."""
    return max(1, -(-max(case.rows) // tile_rows(case)))


def program(case: Case, target: Target, *, masked: bool = False) -> Program:
    """The device code for a case."""
    from quantroof.kernels.experts.device.grouped import grouped_linear

    assert isinstance(case, ExpertsCase)
    kind = _KINDS[case.weight.element.name]
    bn = 128 if case.n % 128 == 0 else 64
    bm = tile_rows(case)
    tiles = case.experts * slots(case) if masked else len(contiguous_plan(case))
    operand = {"plain": "*bf16", "scaled": "*fp8e4nv"}.get(kind)
    return Program(
        function=grouped_linear,
        grid=(case.n // bn, tiles, 1),
        arguments=(
            operand or "*bf16",
            operand or "*u8",
            "*fp32" if operand else kind_of(case).scale_type,
            *("*i32", "*fp32", "*i32", "*bf16", "i32", "i32:16", "i32:16"),
        ),
        constants={
            "BN": bn,
            "BM": bm,
            "BK": 64 if kind == "plain" else 128,
            "GROUP": case.weight.group or case.k,
            "KIND": kind,
            "WIDE": not target.has_wide_matrix_instructions,
            "MASKED": masked,
            "SLOTS": slots(case) if masked else 1,
        },
        num_warps=4 if bm < 64 else bn // 16,
        num_stages=3,
    )


def _build(problem: Problem, *, masked: bool) -> Prepared:
    import torch

    case = problem.case
    assert isinstance(case, ExpertsCase)
    code = program(case, Target.of(problem.device), masked=masked)
    device = problem.torch_device
    where = _masked_rows(case) if masked else torch.arange(case.m)
    where = where.to(device)
    held = case.experts * slots(case) * tile_rows(case) if masked else case.m
    plan = torch.tensor(case.rows if masked else contiguous_plan(case), dtype=torch.int32, device=device)
    x = torch.zeros(held, case.k, dtype=problem.arriving.dtype, device=device)
    x[where] = problem.arriving
    y = torch.full((held, case.n), float("nan"), dtype=torch.bfloat16, device=device)
    scaled = code.constants["KIND"] == "scaled"
    quantize = quantize_rows_program(case.compute, held, case.k) if scaled else None
    codes = torch.empty(held, case.k, dtype=torch.float8_e4m3fn, device=device) if scaled else x
    row_scales = torch.ones(held if scaled else 1, device=device)

    def call(w: Any, w_scale: Any, whole: Any) -> torch.Tensor:
        if quantize is not None:
            quantize.launch(x, codes, row_scales, case.k)
        sizes = (case.experts * case.n, case.n, case.k)
        code.launch(codes, w, w_scale, whole, row_scales, plan, y, *sizes)
        return y

    weights = _weights(problem, wide=bool(code.constants["WIDE"]))
    return Prepared(weights, call, code.config(), values=lambda output: output[where])


def _weights(problem: Problem, *, wide: bool) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(weights, scales, the factor of the whole weight); absent parts are empty tensors."""
    import torch

    if problem.case.weight.element.bits == 4:
        packed, scales, whole, _ = packed_weight(problem, wide=wide)
        return packed, scales, whole
    weight = problem.weight
    empty = torch.empty(0, dtype=torch.int32, device=weight.codes.device)
    scales = empty.float() if weight.scales is None else weight.scale.flatten().contiguous()
    return weight.codes, scales, empty


def _masked_rows(case: ExpertsCase) -> torch.Tensor:
    """Where each contiguous row lies in the masked layout."""
    import torch

    capacity = slots(case) * tile_rows(case)
    parts = [expert * capacity + torch.arange(rows) for expert, rows in enumerate(case.rows)]
    return torch.cat(parts)


def _machine_code(*formats: str, masked: bool) -> MachineCode:
    """One layer of 128 experts per format, multiplied in bf16."""
    shape = "t16-p8-e128-n1536-k2048-uniform"
    expects = {
        **dict.fromkeys(MMA_SYNC, "matrix:HMMA"),
        "sm_90a": "matrix:HGMMA",
        **dict.fromkeys(TCGEN05, "matrix:UTCHMMA"),
    }
    cases = tuple(f"grouped_gemm/{own}/{shape}" for own in formats)
    return MachineCode(cases, partial(program, masked=masked), expects, not_portable=PTX)


def _fp8_code(*, masked: bool) -> MachineCode:
    """The same in fp8."""
    case = "grouped_gemm/fp8_e4m3.channel-fp8_e4m3.token.from_bf16-bf16/t16-p8-e128-n1536-k2048-uniform"
    expects = {
        **dict.fromkeys(MMA_SYNC, "matrix:QMMA"),
        "sm_90a": "matrix:QGMMA",
        **dict.fromkeys(TCGEN05, "matrix:UTCQMMA"),
        "gfx942": "matrix:MFMA_FP8_FP8",
        "gfx950": "matrix:MFMA_F8F6F4",
    }
    return MachineCode((case,), partial(program, masked=masked), expects, not_portable=None)


_SCHEMES = ("bf16", "int4-w4a16", "mxfp4-w4a16")
_kernel = partial(Kernel, provider="triton", check=_check, operations=("grouped_gemm",), targets=("gpu",))

KERNELS = (
    _kernel(
        name="triton.grouped",
        schemes=_SCHEMES,
        build=partial(_build, masked=False),
        summary="experts' rows one after the other, a plan of tiles from the host",
        machine_code=_machine_code(
            "bf16-bf16-bf16", "int4.g128-bf16-bf16", "mxfp4.g32-bf16-bf16", masked=False
        ),
    ),
    _kernel(
        name="triton.grouped_masked",
        schemes=_SCHEMES,
        build=partial(_build, masked=True),
        summary="the same number of slots per expert, filled as far as the device's counts say",
        machine_code=_machine_code("bf16-bf16-bf16", masked=True),
    ),
    _kernel(
        name="triton.quant+grouped",
        schemes=("fp8-w8a8",),
        build=partial(_build, masked=False),
        summary="per-token quantizing, then as triton.grouped in fp8 with row scales",
        machine_code=_fp8_code(masked=False),
    ),
    _kernel(
        name="triton.quant+grouped_masked",
        schemes=("fp8-w8a8",),
        build=partial(_build, masked=True),
        summary="per-token quantizing, then as triton.grouped_masked in fp8",
        machine_code=_fp8_code(masked=True),
    ),
)
