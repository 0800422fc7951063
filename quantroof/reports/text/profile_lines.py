"""Hardware profiles in words, for `quantroof hardware`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quantroof.hwprofiles import native
from quantroof.hwprofiles.roofline import ridge_point

if TYPE_CHECKING:
    from rich.table import Table

    from quantroof.analysis.roofs import Roofs
    from quantroof.hwprofiles.types import Figure, HardwareProfile, Peak

_FIELDS = (
    ("sm_count", "SMs", ""),
    ("boost_mhz", "boost clock", "MHz"),
    ("tensor_mhz", "matrix clock", "MHz"),
    ("memory_gb", "memory", "GB"),
    ("memory_bus_bits", "memory bus", "bit"),
    ("memory_gbps_per_pin", "data rate", "Gbit/s a pin"),
    ("l2_mb", "L2", "MiB"),
    ("tdp_w", "TDP", "W"),
)


class Sources:
    """Numbers the sources in the order they are first named, so that tables stay narrow."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}

    def mark(self, text: str) -> str:
        """The reference to a source: `[3]`."""
        return f"[{self._numbers.setdefault(text, len(self._numbers) + 1)}]"

    def lines(self) -> list[str]:
        """The list that the references point into."""
        return [f"[{number}] {text}" for text, number in self._numbers.items()]


def rate_unit(element: str) -> str:
    """TOP/s for integers, TFLOP/s for the rest."""
    return "TOP/s" if element.startswith("int") else "TFLOP/s"


def identity(profile: HardwareProfile) -> list[str]:
    """What the profile is, in two or three lines."""
    lines = [
        f"{', '.join(profile.device_names)}  ({profile.id})",
        f"{profile.vendor} {profile.architecture}, compute capability {profile.compute_capability}",
        f"rate class {profile.rate_class}, memory {profile.memory_type}",
    ]
    if profile.origin != "catalog":
        lines.append(f"{profile.origin.upper()}: " + "; ".join(profile.assumptions))
    if profile.notes:
        lines.append(f"note: {profile.notes}")
    return lines


def numbers(profile: HardwareProfile, sources: Sources) -> Table:
    """Every number that is no rate, with its source."""
    table = _table("", "value", "source")
    for field, label, unit in _FIELDS:
        value = getattr(profile, field)
        if value is not None:
            table.add_row(
                label, f"{value:g} {unit}".strip(), sources.mark(profile.sources.get(field, "as reported"))
            )
    figure = profile.bandwidth_gbps
    table.add_row("bandwidth", f"{figure.value:g} GB/s", sources.mark(_source(figure)))
    return table


def _source(figure: Figure | Peak) -> str:
    note = f"; {figure.note}" if figure.note else ""
    return f"{figure.source} ({figure.basis}){note}"


def rates(profile: HardwareProfile, measured: Roofs | None, sources: Sources) -> Table:
    """Dense peaks with clock, ridge point and source; beside what a run measured, if given."""
    table = _table("dense peak", "accumulates in", "rate", "at", "ridge", "source")
    if measured is not None:
        table.add_column("measured")
    for peak in profile.peaks:
        clock = "" if peak.clock_mhz is None else f"{peak.clock_mhz:g} MHz"
        ridge = ridge_point(peak.flops_per_s, profile.bandwidth_bytes_per_s)
        row = [
            f"{peak.element} {peak.unit}",
            peak.accumulator,
            f"{peak.tflops:g} {rate_unit(peak.element)}",
            clock,
            f"{ridge:.0f} op/byte",
            sources.mark(_source(peak)),
        ]
        if measured is not None:
            row.append(_measured_text(profile, peak, measured))
        table.add_row(*row)
    return table


def _measured_text(profile: HardwareProfile, peak: Peak, measured: Roofs) -> str:
    rate = measured.matrix.get(peak.element)
    if rate is None or profile.peak(peak.element) is not peak:
        return ""
    return f"{rate / 1e12:.4g} {rate_unit(peak.element)} ({rate / peak.flops_per_s:.0%})"


def machine_code(profile: HardwareProfile) -> Table | None:
    """What each format becomes by every path, from the table of machine code; None where it has no column."""
    cells = native.on(profile.compute_capability)
    if not cells:
        return None
    by_format: dict[tuple[str, str], dict[str, str]] = {}
    for cell in cells:
        shown = "does not assemble" if cell.verdict == "refused" else f"{cell.verdict}: {cell.evidence}"
        by_format.setdefault((cell.element, cell.accumulator), {})[cell.path] = shown
    paths = list(dict.fromkeys(cell.path for cell in cells))
    table = _table(f"on {cells[0].arch}", "accumulates in", *paths)
    for (element, accumulator), verdicts in by_format.items():
        table.add_row(element, accumulator, *(verdicts.get(path, "") for path in paths))
    return table


def _table(*columns: str) -> Table:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table
