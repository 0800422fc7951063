"""Per-token activation quantization in Triton: the step that precedes a W8A8 product."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.hwprofiles.types import Device
from quantroof.kernels.act_quant.rows import dequantized_rows, quantize_rows_program
from quantroof.kernels.architectures import ARCHITECTURES
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.program import MachineCode, Program, Target
from quantroof.kernels.requirements import needs_capability, needs_multiple

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem


def _check(case: Case, device: Device) -> Skip | None:
    fp8 = case.output.element.name == "fp8_e4m3"
    return needs_capability(
        device, (8, 9) if fp8 else (8, 0), "conversions to e4m3" if fp8 else "bf16 kernels"
    ) or needs_multiple(case.k, 16, "K", "triton's quantizing kernel")


def program(case: Case, _: Target) -> Program:
    """The device code for a case."""
    return quantize_rows_program(case.output.element, case.m, case.k)


def _build(problem: Problem) -> Prepared:
    import torch

    from quantroof.kernels.quantize import storage_dtype

    case = problem.case
    code = program(case, Target.of(problem.device))
    codes = torch.empty(case.m, case.k, dtype=storage_dtype(case.output), device=problem.torch_device)
    scales = torch.full((case.m,), float("nan"), device=problem.torch_device)

    def call(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        code.launch(x, codes, scales, case.k)
        return codes, scales

    return Prepared((problem.arriving,), call, code.config(), ("output",), values=dequantized_rows)


_SIMT = dict.fromkeys(ARCHITECTURES, "simt")

KERNELS = (
    Kernel(
        "triton.act_quant",
        "triton",
        ("int8-quant", "fp8-quant"),
        _build,
        _check,
        operations=("act_quant",),
        targets=("gpu",),
        summary="one program per row, one pass over memory",
        machine_code=MachineCode(
            (
                "act_quant/none-bf16-int8.token/m4096-n4096-k4096",
                "act_quant/none-bf16-fp8_e4m3.token/m4096-n4096-k4096",
            ),
            program,
            _SIMT,
            not_portable=None,
        ),
    ),
)
