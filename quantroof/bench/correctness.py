"""Compare a kernel's output with the fp64 reference before it is timed."""

from __future__ import annotations

import math
from typing import Any

import torch

from quantroof.bench.host_heap import new_blocks_filled
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Prepared
from quantroof.kernels.problem import Problem, tolerance
from quantroof.kernels.quantize import storage_dtype
from quantroof.kernels.reference import reference_of
from quantroof.records.lines import Accuracy


class WrongOutput(Exception):
    """An output that is not what the case names: another type, shape or layout, or not finite."""


def correct(accuracy: Accuracy) -> bool:
    """Whether the error is within the tolerance; an error of NaN is not."""
    return accuracy.frobenius <= accuracy.tolerance


def check(prepared: Prepared, problem: Problem) -> Accuracy:
    """Run the kernel once on its own weights and compare; WrongOutput if no error can be computed."""
    case = problem.case
    if problem.torch_device.type == "cuda":
        _fill_free_blocks(case.m, case.n, problem.torch_device)
    reference = reference_of(problem)
    _ = reference.exact, reference.unquantized  # before the call, which may write into its operands
    with new_blocks_filled():
        output = prepared.call(*prepared.weights)
        values = output_values(prepared, problem, output)
    error = _frobenius(values, reference.exact)
    if not math.isfinite(error):
        raise WrongOutput("its operands give no reference: the product of what they hold now is zero")
    return Accuracy(
        frobenius=error,
        max_abs=float((values - reference.exact).abs().max() / reference.exact.abs().max()),
        tolerance=tolerance(case),
        format_frobenius=_frobenius(values, reference.unquantized),
    )


def output_values(prepared: Prepared, problem: Problem, output: Any) -> torch.Tensor:
    """The numbers [M, N] of an output in fp64; WrongOutput if it is not what the case names."""
    case = problem.case
    for tensor in output if isinstance(output, tuple) else (output,):
        if isinstance(tensor, torch.Tensor) and type(tensor) is not torch.Tensor:
            raise WrongOutput(f"output is a {type(tensor).__name__}, which may compute when it is read")
    values = prepared.values(output)
    if values is not output and case.operation != "act_quant":
        raise WrongOutput(f"the output of {case.operation} is one tensor, and needs no `values`")
    if not isinstance(values, torch.Tensor):
        raise WrongOutput(f"output is a {type(values).__name__}, not a tensor")
    if tuple(values.shape) != (case.m, case.n):
        raise WrongOutput(f"output has shape {tuple(values.shape)}, not {(case.m, case.n)}")
    if values is output:
        _check_storage(values, case, problem.torch_device)
    numbers: torch.Tensor = values.double()
    if not torch.isfinite(numbers).all():
        raise WrongOutput("output has NaN or infinity")
    return numbers


def _check_storage(output: torch.Tensor, case: Case, device: torch.device) -> None:
    """Check that the output's bytes are those that the case counts: its type, row by row, on its device.

    What an operation returns in several tensors has a layout of its own, and `values` reads it.
    """
    wanted = storage_dtype(case.output)
    if output.dtype != wanted:
        raise WrongOutput(f"output is {_short(output.dtype)}, not {_short(wanted)}")
    if output.layout != torch.strided or not output.is_contiguous():
        raise WrongOutput(f"output is not contiguous: its strides are {_strides(output)}")
    if output.device.type != device.type:
        raise WrongOutput(f"output is on {output.device}, not on {device}")


def _strides(output: torch.Tensor) -> str:
    return str(output.stride()) if output.layout == torch.strided else str(output.layout)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _frobenius(values: torch.Tensor, reference: torch.Tensor) -> float:
    return float((values - reference).norm() / reference.norm())


def _fill_free_blocks(m: int, n: int, device: torch.device) -> None:
    """Leave NaN where torch's CUDA allocator will place the output, so that an unwritten element shows.

    It hands freed blocks of a size out again first; malloc does not, so a CPU has `new_blocks_filled`.
    """
    for dtype in (torch.bfloat16, torch.float32):
        torch.full((m, n), float("nan"), dtype=dtype, device=device)
