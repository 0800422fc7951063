"""x @ w.T instead of F.linear: do the two take the same path?"""

from __future__ import annotations

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.problem import Problem
from quantroof.kernels.requirements import needs_multiple


def check(case: Case, device: Device) -> Skip | None:
    """Why the kernel cannot run here; torch must not be imported yet."""
    if device.processor == "gpu":
        return Skip("this example stays on the CPU")
    return needs_multiple(case.k, 2, "K", "this example")


def build(problem: Problem) -> Prepared:
    """All set-up happens here, outside of what is timed; the call gets the weights and must not keep them."""
    x = problem.arriving
    return Prepared((problem.weight.codes,), lambda w: x @ w.T)


KERNEL = Kernel("example.matmul", "example", ("fp32", "fp16", "bf16"), build, check, summary="x @ w.T")
KERNELS = (KERNEL,)
