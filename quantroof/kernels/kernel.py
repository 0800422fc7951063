"""The declaration of a kernel: its provider, the formats it implements, and how it is built.

A declaration is free of torch, so that planning needs none; `build` imports it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from quantroof.hwprofiles.types import Device, Processor
from quantroof.kernels.cases import Case, Operation
from quantroof.kernels.program import MachineCode

if TYPE_CHECKING:
    from quantroof.kernels.problem import Problem


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a kernel cannot run a case here: `fp8 matrix instructions need compute capability 8.9`."""

    reason: str


class BrokenCheck(Skip):
    """The check itself failed: the kernel is recorded as failed, not as one that has a limit."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Prepared:
    """A kernel bound to a problem: everything allocated, packed and compiled, ready to be timed.

    `call(*weights)` returns the output [M, N]. The bench clones `weights` (the packed weight stream with its
    scales) past the last-level cache and passes another set to every call, so `call` must not keep them.
    `hot` names what stays in cache between calls all the same; `config` is recorded with the measurement.
    `values` turns what `call` returned into the numbers [M, N] that are compared, where that is more than one
    tensor.
    """

    weights: tuple[Any, ...]
    call: Callable[..., Any]
    config: dict[str, str | int | float | bool] = field(default_factory=dict)
    hot: tuple[str, ...] = ("activations", "output")
    capturable: bool = True
    values: Callable[[Any], Any] = lambda output: output


@dataclass(frozen=True, slots=True)
class Kernel:
    """One implementation of operations for some formats.

    `schemes`, `operations` and `targets` are what it is made for. `check(case, device)` is torch-free and
    returns why the kernel cannot run such a case, or None. `build(problem)` does all set-up outside the timed
    region and may still return a Skip, for what only the library itself can find out. `machine_code` lets
    `quantroof compile` and the golden table look at what a compiler makes of it.
    """

    name: str
    provider: str
    schemes: tuple[str, ...]
    build: Callable[[Problem], Prepared | Skip]
    check: Callable[[Case, Device], Skip | None] = lambda _case, _device: None
    operations: tuple[Operation, ...] = ("gemv", "gemm")
    targets: tuple[Processor, ...] = ("cpu", "gpu")
    summary: str = ""
    machine_code: MachineCode | None = None
    source: str | None = None
    """The file that it comes from, where `build` is not of that file."""
    computes: str | None = None
    """The element that enters the multiplier, where it is not the one that the formats of the case name."""

    def made_for(self, case: Case, device: Device) -> bool:
        """Whether this kernel applies to a case on a device at all; if not, nothing is reported."""
        named = case.kernel_scheme in self.schemes and case.operation in self.operations
        return named and device.processor in self.targets
