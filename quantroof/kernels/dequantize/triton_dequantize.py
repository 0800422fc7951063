"""Dequantization of weights to bf16 in Triton, alone and before cuBLAS, for large M."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from quantroof.kernels.architectures import NVIDIA
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared
from quantroof.kernels.linear.packed_weight import kind_of, packed_weight
from quantroof.kernels.linear.triton_weight_only import PTX, check_weight
from quantroof.kernels.program import MachineCode, Program, Target

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

_BN, _BK = 64, 128


def program(case: Case, target: Target) -> Program:
    """The device code that writes the weight of a case out."""
    from quantroof.kernels.dequantize.device.dequantize import dequantize_weight

    kind = kind_of(case)
    return Program(
        function=dequantize_weight,
        grid=(case.weight_rows // _BN, case.k // _BK, 1),
        arguments=("*u8", kind.scale_type, "*i32", "*i32", "*bf16", "i32:16", "i32:16"),
        constants={
            "BN": _BN,
            "BK": _BK,
            "GROUP": case.weight.group or case.k,
            "KIND": kind.kind,
            "ORDERED": case.weight.act_order,
            "WIDE": not target.has_wide_matrix_instructions,
        },
        num_warps=4,
        num_stages=1,
        weights_per_iteration=_BN * _BK,
    )


def _bound(problem: Problem) -> tuple[Program, torch.Tensor]:
    import torch

    case = problem.case
    shape = (case.weight_rows, case.k)
    out = torch.full(shape, float("nan"), dtype=torch.bfloat16, device=problem.torch_device)
    return program(case, Target.of(problem.device)), out


def _build(problem: Problem) -> Prepared:
    code, out = _bound(problem)

    def call(*packed: Any) -> torch.Tensor:
        code.launch(*packed, out, *out.shape)
        return out

    return Prepared(
        packed_weight(problem, wide=bool(code.constants["WIDE"])), call, code.config(), ("output",)
    )


def _build_linear(problem: Problem) -> Prepared:
    import torch

    code, dequantized = _bound(problem)
    x = problem.arriving

    def call(*packed: Any) -> torch.Tensor:
        code.launch(*packed, dequantized, *dequantized.shape)
        return torch.nn.functional.linear(x, dequantized)

    weights = packed_weight(problem, wide=bool(code.constants["WIDE"]))
    return Prepared(weights, call, code.config(), ("activations", "output", "dequantized weights"))


_DEQUANTIZED = ("int8-dequant", "int4-dequant", "nf4-dequant")
_LINEAR = ("int8-w8a16", "fp8-w8a16", "int4-w4a16", "int4-zp-w4a16", "int4-actorder-w4a16", "nf4-w4a16")
_SIMT = dict.fromkeys(NVIDIA, "simt")
_CODE = MachineCode(
    tuple(f"dequantize/{w}-none-bf16/m4096-n4096-k4096" for w in ("int8.channel", "int4.g128", "nf4.g64")),
    program,
    _SIMT,
    not_portable=PTX,
)

_ALONE = Kernel(
    "triton.dequantize",
    "triton",
    _DEQUANTIZED,
    _build,
    check_weight,
    operations=("dequantize",),
    targets=("gpu",),
    summary="one tile per program, the products' own unpacking",
    machine_code=_CODE,
)

KERNELS = (
    _ALONE,
    replace(
        _ALONE,
        name="triton.dequant+linear",
        schemes=_LINEAR,
        build=_build_linear,
        operations=("gemv", "gemm"),
        summary="weights written out in bf16, then F.linear",
        machine_code=replace(_CODE, cases=("gemm/int4.g128.zp-bf16-bf16/m4096-n4096-k4096",)),
    ),
)
