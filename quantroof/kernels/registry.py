"""The registry of kernels: from this package, from installed packages, and from files named by the user.

A kernel module declares `KERNELS`, a tuple of Kernel. `load()` walks the operation folders, so adding a
kernel edits no other file; a module that cannot be imported becomes a recorded reason, never a silent gap.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import entry_points
from pathlib import Path

from quantroof.errors import UsageError, described, unknown_name
from quantroof.kernels.kernel import Kernel

ENTRY_POINTS = "quantroof.kernels"
OPERATION_FOLDERS = ("linear", "act_quant", "dequantize")


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
        except SystemExit as error:
            broken[point.value] = f"calls sys.exit({error.code!r}) when it is imported"
    found += [(reference, load_file(reference)) for reference in external]
    kernels: dict[str, Kernel] = {}
    for source, kernel in found:
        if kernel.name in kernels:
            raise UsageError(f"kernel {kernel.name} is declared twice", where=source)
        kernels[kernel.name] = kernel
    return Registry(kernels, broken)


def load_file(reference: str) -> Kernel:
    """Import a Python file, named as `path.py:NAME`, and return its Kernel; UsageError for anything else."""
    path_text, _, name = reference.rpartition(":")
    path = Path(path_text)
    if not path_text or not name.isidentifier() or path.suffix != ".py":
        raise UsageError(f"'{reference}' does not name a kernel", hint="write PATH.py:NAME")
    if not path.is_file():
        raise UsageError("no such file", where=str(path))
    # The name under which Triton and pickle find the module again; the stem alone could shadow a library.
    module_name = f"quantroof_external_{path.stem}_{abs(hash(path.resolve()))}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except SystemExit as error:
        raise UsageError(f"calls sys.exit({error.code!r}) when it is imported", where=str(path)) from error
    except Exception as error:
        raise UsageError(f"cannot be imported: {described(error)}", where=str(path)) from error
    kernel = getattr(module, name, None)
    if not isinstance(kernel, Kernel):
        raise UsageError(f"{name} is not a Kernel but a {type(kernel).__name__}", where=str(path))
    return kernel
