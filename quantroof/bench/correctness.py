"""Compare a kernel's output with the fp64 reference before it is timed."""

from __future__ import annotations

import torch

from quantroof.bench.host_heap import new_blocks_filled
from quantroof.kernels.kernel import Prepared
from quantroof.kernels.problem import Problem, tolerance
from quantroof.records.lines import Accuracy


class WrongOutput(Exception):
    """An output that cannot be compared: the wrong shape, or not finite."""


def correct(accuracy: Accuracy) -> bool:
    """Whether the error is within the tolerance; an error of NaN is not."""
    return accuracy.frobenius <= accuracy.tolerance


def check(prepared: Prepared, problem: Problem) -> Accuracy:
    """Run the kernel once on its own weights and compare; WrongOutput where no error can be computed."""
    case = problem.case
    if problem.torch_device.type == "cuda":
        _fill_free_blocks(case.m, case.n, problem.torch_device)
    with new_blocks_filled():
        output = prepared.values(prepared.call(*prepared.weights))
    if tuple(output.shape) != (case.m, case.n):
        raise WrongOutput(f"output has shape {tuple(output.shape)}, not {(case.m, case.n)}")
    values = output.double()
    if not torch.isfinite(values).all():
        raise WrongOutput("output has NaN or infinity")
    return Accuracy(
        frobenius=_frobenius(values, problem.reference),
        max_abs=float((values - problem.reference).abs().max() / problem.reference.abs().max()),
        tolerance=tolerance(case),
        format_frobenius=_frobenius(values, problem.unquantized),
    )


def _frobenius(values: torch.Tensor, reference: torch.Tensor) -> float:
    return float((values - reference).norm() / reference.norm())


def _fill_free_blocks(m: int, n: int, device: torch.device) -> None:
    """Leave NaN where torch's CUDA allocator will place the output, so that an unwritten element shows.

    It hands freed blocks of a size out again first; malloc does not, so a CPU has `new_blocks_filled`.
    """
    for dtype in (torch.bfloat16, torch.float32):
        torch.full((m, n), float("nan"), dtype=dtype, device=device)
