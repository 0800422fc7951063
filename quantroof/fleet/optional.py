"""Libraries that only some fleets need: each missing one is an error that says what to install."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from quantroof.errors import EnvironmentMissing


def require(module: str, purpose: str, install: str) -> ModuleType:
    """Import a module; EnvironmentMissing with the `install` line where it is absent."""
    try:
        return import_module(module)
    except ImportError:
        library = module.partition(".")[0]
        hint = f"pip install {install}"
        raise EnvironmentMissing(f"{purpose} needs {library}, which is not installed", hint=hint) from None
