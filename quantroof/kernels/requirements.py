"""What kernels ask of a device or a shape, each answer a Skip with its reason."""

from __future__ import annotations

from importlib.util import find_spec

from quantroof.hwprofiles.types import Device
from quantroof.kernels.registry import Skip


def needs_capability(device: Device, minimum: tuple[int, int], what: str) -> Skip | None:
    """Skip where the compute capability is lower or unknown; `what` is the subject, in the plural."""
    found = device.capability
    if found is not None and found >= minimum:
        return None
    have = f"this one has {device.compute_capability}" if found else "this one reports none"
    return Skip(f"{what} need compute capability {minimum[0]}.{minimum[1]}, {have}")


def needs_multiple(value: int, of: int, name: str, what: str) -> Skip | None:
    """Skip a dimension that is not a multiple."""
    return Skip(f"{what} needs {name} to be a multiple of {of}, not {value}") if value % of else None


def needs_package(module: str, distribution: str | None = None) -> None:
    """Raise ImportError where a package is missing; the registry keeps it as the module's reason."""
    if find_spec(module) is None:
        raise ImportError(f"{module} is not installed (pip install {distribution or module})")
