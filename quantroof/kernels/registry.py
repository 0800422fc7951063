"""The registry of kernels: from this package, from installed packages, and from files named by the user.

A kernel module declares `KERNELS`, a tuple of Kernel. `load()` walks the operation folders, so adding a
kernel edits no other file; a module that cannot be imported becomes a recorded reason, never a silent gap.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from quantroof.errors import UsageError, unknown_name
from quantroof.kernels.foreign import entry_point_kernels, load_file
from quantroof.kernels.kernel import Kernel

ENTRY_POINTS = "quantroof.kernels"
OPERATION_FOLDERS = ("linear", "act_quant", "dequantize", "attention", "experts")


@dataclass(frozen=True, slots=True)
class Registry:
    """Every declared kernel by name, and the modules that could not be imported with their reasons."""

    kernels: dict[str, Kernel]
    broken: dict[str, str]
    foreign: frozenset[str] = frozenset()
    """Names of the kernels that are not of this package."""
    files: dict[str, str] = field(default_factory=dict)
    """The name of the kernel that each `path.py:NAME` declares."""

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


@lru_cache(maxsize=1)
def own() -> Registry:
    """Import every kernel module below the operation folders, and nothing from outside of this package."""
    kernels: list[tuple[str, Kernel]] = []
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
            kernels += [(name, kernel) for kernel in declared]
    return Registry(_by_name(kernels), broken)


@lru_cache(maxsize=8)
def load(external: tuple[str, ...] = ()) -> Registry:
    """Our kernels, and those from outside.

    From outside come `path.py:NAME` references and installed packages with an entry point in the group
    `quantroof.kernels` that names a module with KERNELS.
    """
    ours = own()
    broken = dict(ours.broken)
    foreign: list[tuple[str, Kernel]] = []
    for point in entry_points(group=ENTRY_POINTS):
        try:
            foreign += [(point.value, kernel) for kernel in entry_point_kernels(point)]
        except UsageError as error:
            broken[point.value] = error.what
    named = [(reference, load_file(reference)) for reference in external]
    foreign += named
    kernels = _by_name([*(("quantroof", kernel) for kernel in ours.kernels.values()), *foreign])
    files = {reference: kernel.name for reference, kernel in named}
    return Registry(kernels, broken, frozenset(kernel.name for _, kernel in foreign), files)


def _by_name(declared: list[tuple[str, Kernel]]) -> dict[str, Kernel]:
    kernels: dict[str, Kernel] = {}
    for source, kernel in declared:
        if kernel.name in kernels:
            raise UsageError(f"kernel {kernel.name} is declared twice", where=source)
        kernels[kernel.name] = kernel
    return kernels
