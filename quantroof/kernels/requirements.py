"""What kernels require of a device or a shape; each refusal is a Skip with its reason."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from quantroof.hwprofiles.compute import not_nvidia
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Skip


def needs_capability(device: Device, minimum: tuple[int, int], what: str) -> Skip | None:
    """Skip where the compute capability is lower, unknown or not NVIDIA's; `what` is a plural subject."""
    found = device.capability
    if found is not None and (reason := not_nvidia(found)):
        return Skip(reason)
    if found is not None and found >= minimum:
        return None
    have = f"this one has {device.compute_capability}" if found else "this one reports none"
    return Skip(f"{what} need compute capability {minimum[0]}.{minimum[1]}, {have}")


def needs_hopper(device: Device, what: str) -> Skip | None:
    """Skip everywhere but on compute capability 9.0; `what` is the subject, in the singular."""
    found = device.capability
    if found == (9, 0):
        return None
    reason = not_nvidia(found) if found else None
    have = device.compute_capability or "unknown"
    return Skip(reason or f"{what} exists for compute capability 9.0 only, this one is {have}")


def needs_multiple(value: int, of: int, name: str, what: str) -> Skip | None:
    """Skip where a dimension is not a multiple."""
    return Skip(f"{what} needs {name} to be a multiple of {of}, not {value}") if value % of else None


def bf16_in_tiles_of(tile: int, what: str) -> Callable[[Case, Device], Skip | None]:
    """The check of a library's bf16 kernel whose N and K come in multiples of a tile."""

    def check(case: Case, device: Device) -> Skip | None:
        return (
            needs_capability(device, (8, 0), "bf16 kernels")
            or needs_multiple(case.k, tile, "K", what)
            or needs_multiple(case.n, tile, "N", what)
        )

    return check


def needs_package(module: str, distribution: str | None = None) -> None:
    """Raise ImportError if a package is missing; the registry keeps it as the module's reason."""
    if find_spec(module) is None:
        raise ImportError(f"{module} is not installed (pip install {distribution or module})")
