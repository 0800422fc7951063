"""torch's own linear layer for fp32, tf32, fp16 and bf16: cuBLAS(Lt) on a GPU, oneDNN or MKL on a CPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability

# First compute capability with matrix instructions for the element (CUDA Programming Guide, table of
# tensor core types). fp32 runs on the vector units of every device.
_CAPABILITY = {"tf32": (8, 0), "fp16": (7, 0), "bf16": (8, 0)}


def _check(case: Case, device: Device) -> Skip | None:
    name = case.compute.name
    if device.processor == "cpu":
        return Skip("tf32 is a GPU tensor core type") if name == "tf32" else None
    minimum = _CAPABILITY.get(name)
    return needs_capability(device, minimum, f"{name} matrix instructions") if minimum else None


def _build(problem: Problem) -> Prepared:
    import torch

    # Global by torch's design; every dense build sets it, and one case is timed at a time.
    torch.set_float32_matmul_precision("high" if problem.case.compute.name == "tf32" else "highest")
    x = problem.arriving
    return Prepared((problem.weight.codes,), lambda w: torch.nn.functional.linear(x, w))


KERNELS = (
    Kernel("torch.linear", "torch", ("fp32", "tf32", "fp16", "bf16"), _build, _check, summary="F.linear"),
)

if TYPE_CHECKING:
    from quantroof.kernels.problem import Problem
