"""Kernels from outside the package: a Kernel object in a Python file, named as `path.py:NAME`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

from quantroof.errors import UsageError, described
from quantroof.kernels.registry import Kernel


def load_file(reference: str) -> Kernel:
    """Import the file and return the Kernel it names; UsageError for anything that is not one."""
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
    except Exception as error:
        raise UsageError(f"cannot be imported: {described(error)}", where=str(path)) from error
    kernel = getattr(module, name, None)
    if not isinstance(kernel, Kernel):
        raise UsageError(f"{name} is no Kernel but {type(kernel).__name__}", where=str(path))
    return kernel
