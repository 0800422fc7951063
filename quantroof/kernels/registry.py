"""Kernels: who implements an operation for which formats. Declarations are torch-free; `build` imports torch.

A kernel module declares `KERNELS`, a tuple of Kernel. `load()` walks the operation folders, so adding a
kernel edits no other file; a module that cannot be imported becomes a recorded reason, never a silent gap.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from quantroof.errors import UsageError, unknown_name
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case, Operation
from quantroof.kernels.program import MachineCode
from quantroof.kernels.schemes import scheme_of

if TYPE_CHECKING:
    from quantroof.kernels.problem import Problem

Target = Literal["cpu", "gpu"]

ENTRY_POINTS = "quantroof.kernels"
OPERATION_FOLDERS = ("linear", "act_quant", "dequantize")


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a kernel cannot run a case here: `fp8 matrix instructions need compute capability 8.9`."""

    reason: str


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


def is_gpu(device: Device) -> bool:
    """True for a CUDA device and for a simulated one."""
    return device.kind in ("cuda", "sim")


@dataclass(frozen=True, slots=True)
class Kernel:
    """One implementation of operations for some formats.

    `schemes`, `operations` and `targets` say what it is made for. `check(case, device)` is torch-free and
    says why the kernel cannot run a case it is made for, or None. `build(problem)` does all set-up outside
    the timed region and may still return a Skip that only the library itself can know of. `machine_code` lets
    `quantroof compile` and the golden table look at what a compiler makes of it.
    """

    name: str
    provider: str
    schemes: tuple[str, ...]
    build: Callable[[Problem], Prepared | Skip]
    check: Callable[[Case, Device], Skip | None] = lambda _case, _device: None
    operations: tuple[Operation, ...] = ("gemv", "gemm")
    targets: tuple[Target, ...] = ("cpu", "gpu")
    summary: str = ""
    machine_code: MachineCode | None = None

    def made_for(self, case: Case, device: Device) -> bool:
        """Whether a case on a device is this kernel's business at all; if not, nothing is reported."""
        target: Target = "gpu" if is_gpu(device) else "cpu"
        named = scheme_of(case.weight, case.activation, case.output)
        known = named is not None and named.name in self.schemes
        return known and case.operation in self.operations and target in self.targets


@dataclass(frozen=True, slots=True)
class Registry:
    """Every declared kernel by name, and the modules that could not be imported with their reasons."""

    kernels: dict[str, Kernel]
    broken: dict[str, str]

    @property
    def providers(self) -> list[str]:
        """Names of all providers, sorted."""
        return sorted({k.provider for k in self.kernels.values()})

    def for_providers(self, names: tuple[str, ...] | None) -> list[Kernel]:
        """Kernels of the named providers, all without names; UsageError for an unknown provider."""
        for name in names or ():
            if name not in self.providers:
                raise unknown_name("provider", name, self.providers)
        return [k for k in self.kernels.values() if names is None or k.provider in names]


@lru_cache(maxsize=8)
def load(external: tuple[str, ...] = ()) -> Registry:
    """Import every kernel module below the operation folders, and kernels from outside.

    From outside come `path.py:NAME` references and installed packages with an entry point in the group
    `quantroof.kernels` that names a module with KERNELS.
    """
    from quantroof.kernels.external import load_file

    found: list[tuple[str, Kernel]] = []
    broken: dict[str, str] = {}
    for folder in OPERATION_FOLDERS:
        path = Path(__file__).parent / folder
        for module in pkgutil.iter_modules([str(path)]):
            name = f"quantroof.kernels.{folder}.{module.name}"
            try:
                declared: tuple[Kernel, ...] = getattr(importlib.import_module(name), "KERNELS", ())
            except ImportError as error:
                broken[name] = str(error)
                continue
            found += [(name, kernel) for kernel in declared]
    for point in entry_points(group=ENTRY_POINTS):
        try:
            found += [(point.value, kernel) for kernel in point.load().KERNELS]
        except (ImportError, AttributeError) as error:
            broken[point.value] = str(error)
    found += [(reference, load_file(reference)) for reference in external]
    kernels: dict[str, Kernel] = {}
    for source, kernel in found:
        if kernel.name in kernels:
            raise UsageError(f"kernel {kernel.name} is declared twice", where=source)
        kernels[kernel.name] = kernel
    return Registry(kernels, broken)
