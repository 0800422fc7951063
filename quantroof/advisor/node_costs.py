"""The constants of a format's kernels from this node's own times: fixed time and efficiencies."""

from __future__ import annotations

from statistics import median

from quantroof.advisor.choices import named
from quantroof.advisor.interpolation import KernelTime, Shape
from quantroof.advisor.kernel_costs import Cost
from quantroof.advisor.machine import Machine
from quantroof.kernels.cases import Case

OWN = "this node"
# Fewer points of one bound than this, or of less spread in bytes, decide no line.
_ENOUGH = 4
_SPREAD = 2.0


def fitted_cost(name: str, shapes: dict[Shape, list[KernelTime]], machine: Machine) -> Cost | None:
    """A line through the memory-bound points, t = fixed + roof / share, and the share of the others.

    None without any point. Points that cannot decide a line give the median share and no fixed time.
    """
    memory, compute = _roofs(name, shapes, machine) if shapes else ([], [])
    if not memory and not compute:
        return None
    fixed, share = _line(memory) if memory else (0.0, None)
    large = sorted(compute)[len(compute) // 2 :]  # small products pay for more than their operations
    rate = median(roof / t for roof, t in large) if large else None
    return Cost(
        operation="linear",
        format=name,
        gpu=machine.id,
        engine=OWN,
        fixed_us=fixed * 1e6,
        memory=share,
        compute=rate,
        points=len(memory) + len(compute),
    )


def _roofs(
    name: str, shapes: dict[Shape, list[KernelTime]], machine: Machine
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """(roof, time) of the points by the roof that binds them. Shapes that no group divides are skipped."""
    bound: dict[str, list[tuple[float, float]]] = {"memory": [], "compute": []}
    scheme = named(name)
    for (n, k), points in shapes.items():
        if scheme.weight.group is not None and k % scheme.weight.group:
            continue
        for timed in points:
            case = Case.linear(scheme, timed.m, n, k)
            roof = machine.roof_seconds(case.flops, case.bytes_moved, case.compute.name)
            side = machine.bound(case)
            if roof is not None and side is not None:
                bound[side].append((roof, timed.seconds))
    return bound["memory"], bound["compute"]


def _line(points: list[tuple[float, float]]) -> tuple[float, float]:
    """Fixed seconds and the share of the roof, by least squares of relative errors."""
    roofs = [roof for roof, _ in points]
    if len(points) >= _ENOUGH and max(roofs) >= _SPREAD * min(roofs):
        ones, first, second = (sum(roof**power / t**2 for roof, t in points) for power in range(3))
        plain, scaled = (sum(roof**power / t for roof, t in points) for power in range(2))
        determinant = ones * second - first**2
        fixed = (plain * second - scaled * first) / determinant
        slope = (scaled * ones - plain * first) / determinant
        if fixed >= 0 and slope >= 1:
            return fixed, 1 / slope
    return 0.0, min(median(roof / t for roof, t in points), 1.0)
