"""The roofline of a device from Python: its limits, and the shortest time that they allow."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from quantroof.analysis.roofs import READ, RoofBasis, Roofs, datasheet_roofs
from quantroof.api.runs import load
from quantroof.errors import UsageError, unknown_name
from quantroof.hwprofiles import catalog
from quantroof.hwprofiles import roofline as formulas


@dataclass(frozen=True, slots=True)
class Roofline:
    """The limits of a device: DRAM bandwidth in bytes/s and the matrix rate per element in operations/s.

    `basis` is `datasheet` (the vendor's dense figures) or `measured` (the ceilings of a run).
    """

    device: str
    basis: RoofBasis
    bandwidth: float
    peaks: Mapping[str, float]

    def seconds(self, flops: float, bytes: float, element: str = "bf16") -> float:  # noqa: A002
        """The shortest time that the limits allow: the larger of flops / peak and bytes / bandwidth."""
        return formulas.attainable_seconds(flops, bytes, self._peak(element), self.bandwidth)

    def bound(self, flops: float, bytes: float, element: str = "bf16") -> formulas.Bound:  # noqa: A002
        """Which limit comes first: `memory` or `compute`."""
        return formulas.bound(flops, bytes, self._peak(element), self.bandwidth)

    def ridge(self, element: str = "bf16") -> float:
        """Operations per byte from which the matrix rate is the limit."""
        return formulas.ridge_point(self._peak(element), self.bandwidth)

    def _peak(self, element: str) -> float:
        if element not in self.peaks:
            raise unknown_name("element", element, list(self.peaks), self.device)
        return self.peaks[element]


def roofline(device: str | os.PathLike[str]) -> Roofline:
    """The limits of a GPU by its name (`h100-sxm5-80gb`, `NVIDIA H200`), or those that a run measured.

    A path, or `latest`, is a run; of several devices the first one is taken.
    """
    matches = catalog.named(str(device))
    if len(matches) == 1:
        return _of(matches[0].id, datasheet_roofs(matches[0]))
    if matches:
        ids = ", ".join(profile.id for profile in matches)
        raise UsageError(f"several boards are called '{device}'", where="roofline", hint=f"name one: {ids}")
    if str(device) != "latest" and not Path(device).exists():
        raise unknown_name("GPU or run", str(device), list(catalog.profiles()))
    results = load(device).devices[0]
    return _of(results.device.name, results.measured)


def _of(name: str, roofs: Roofs) -> Roofline:
    bandwidth = roofs.bandwidth.get(READ)
    if bandwidth is None:
        raise UsageError("the run measured no bandwidth", where=name, hint="measure without --no-ceilings")
    return Roofline(name, roofs.basis, bandwidth, roofs.matrix)
