"""Hardware profiles in words, for `quantroof hardware`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from quantroof.hwprofiles import native
from quantroof.hwprofiles.published import best_seen, out_of_reach
from quantroof.hwprofiles.roofline import ridge_point
from quantroof.reports.text.table import table
from quantroof.units import percent

if TYPE_CHECKING:
    from rich.table import Table

    from quantroof.analysis.roofs import Roofs
    from quantroof.hwprofiles.types import Figure, HardwareProfile, Peak

_WIDE = 110  # columns of a console on which the catalog fits whole
_FIELDS = (
    ("sm_count", "SMs", ""),
    ("boost_mhz", "boost clock", "MHz"),
    ("tensor_mhz", "matrix clock", "MHz"),
    ("memory_gb", "memory", "GB"),
    ("memory_mib", "memory by the driver", "MiB"),
    ("memory_bus_bits", "memory bus", "bit"),
    ("memory_gbps_per_pin", "data rate", "Gbit/s per pin"),
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
    """Every number except the peaks, with its source."""
    rows = []
    for field, label, unit in _FIELDS:
        value = getattr(profile, field)
        if value is not None:
            source = sources.mark(profile.sources.get(field, "as reported"))
            rows.append((label, f"{value:g} {unit}".strip(), source))
    figure = profile.bandwidth_gbps
    rows.append(("bandwidth", f"{figure.value:g} GB/s", sources.mark(_source(figure))))
    return table(("", "value", "source"), rows)


def _source(figure: Figure | Peak) -> str:
    note = f"; {figure.note}" if figure.note else ""
    return f"{figure.source} ({figure.basis}){note}"


def rates(profile: HardwareProfile, measured: Roofs | None, sources: Sources) -> Table:
    """Dense peaks with clock, ridge point and source; beside what a run measured, if given."""
    headings = ["dense peak", "accumulates in", "rate", "at", "ridge", "source"]
    if measured is not None:
        headings.append("measured")
    rows = []
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
        rows.append(row)
    return table(headings, rows)


def seen(profile: HardwareProfile, sources: Sources) -> Iterator[str | Table]:
    """The best that others published, beside the datasheet, and peaks of which nobody came near."""
    rows, warnings = [], []
    for name, ceiling in sorted(best_seen(profile.id).items()):
        peak = profile.peak(name)
        sheet = profile.bandwidth_gbps.value if name == "DRAM" else None if peak is None else peak.tflops
        share = None if sheet is None else ceiling.best / sheet
        what = f"{ceiling.best:g} {ceiling.unit}"
        shown = "" if share is None else percent(share)
        conditions = ", ".join(part for part in (ceiling.fill, ceiling.mode, ceiling.cache) if part)
        rows.append([name, what, shown, conditions, sources.mark(f"{ceiling.source} ({ceiling.license})")])
        if out_of_reach(share):
            warnings.append(f"{name}: never seen above {what}, {shown} of the peak")
    if rows:
        yield table(["best seen by others", "rate", "of the datasheet", "conditions", "source"], rows)
    yield from warnings


def _measured_text(profile: HardwareProfile, peak: Peak, measured: Roofs) -> str:
    rate = measured.matrix.get(peak.element)
    if rate is None or profile.peak(peak.element) is not peak:
        return ""
    return f"{rate / 1e12:.4g} {rate_unit(peak.element)} ({percent(rate / peak.flops_per_s)})"


def machine_code(profile: HardwareProfile) -> Table | None:
    """What each format becomes by every path, from the table of machine code; None if it has no column."""
    cells = native.on(profile.compute_capability)
    if not cells:
        return None
    by_format: dict[tuple[str, str], dict[str, str]] = {}
    for cell in cells:
        shown = "does not assemble" if cell.verdict == "refused" else f"{cell.verdict}: {cell.evidence}"
        by_format.setdefault((cell.element, cell.accumulator), {})[cell.path] = shown
    paths = list(dict.fromkeys(cell.path for cell in cells))
    rows = [
        (element, accumulator, *(verdicts.get(path, "") for path in paths))
        for (element, accumulator), verdicts in by_format.items()
    ]
    return table((f"on {cells[0].arch}", "accumulates in", *paths), rows)


def catalog_table(profiles: Sequence[HardwareProfile], width: int) -> Table:
    """One row per profile. A narrow console would break ids and names, so it gets fewer columns."""
    columns = {
        "profile": [p.id for p in profiles],
        "device name": [p.device_names[0] for p in profiles],
        "cc": [p.compute_capability for p in profiles],
        "SMs": [str(p.sm_count) for p in profiles],
        "memory": [f"{p.memory_gb:g} GB {p.memory_type}" for p in profiles],
        "GB/s": [f"{p.bandwidth_gbps.value:g}" for p in profiles],
        "bf16 TFLOP/s": ["" if (peak := p.peak("bf16")) is None else f"{peak.tflops:g}" for p in profiles],
        "class": [p.rate_class for p in profiles],
    }
    if width < _WIDE:
        del columns["device name"], columns["class"]
    return table(tuple(columns), zip(*columns.values(), strict=True))


def silicon(profile: HardwareProfile) -> Iterator[str | Table]:
    """What the matrix units multiply: opcodes where machine code was read, and what a reader may miss."""
    capability = profile.compute_capability
    if (paths := machine_code(profile)) is not None:
        yield paths
    elif capability in native.AMD_FORMATS:
        formats = ", ".join(native.AMD_FORMATS[capability])
        yield f"{capability} multiplies {formats} by AMD's guide; quantroof has never run on it"
    else:
        yield f"machine code of compute capability {capability} was not read: no native formats known"
    arch = native.architecture_of(capability) or ""
    for element in dict.fromkeys(cell.element for cell in native.on(capability)):
        if native.only_on_the_older_path(element, arch):
            yield f"note: {element} is multiplied by mma.sync alone on {arch}, not by the faster tcgen05"


def profile_parts(profile: HardwareProfile, measured: Roofs | None) -> Iterator[str | Table]:
    """Everything about a profile, in the order in which it is printed."""
    sources = Sources()
    yield from identity(profile)
    yield numbers(profile, sources)
    yield rates(profile, measured, sources)
    yield from silicon(profile)
    yield from seen(profile, sources)
    yield from sources.lines()
    if measured is None:
        yield "measured: nothing here (give a run with --run)"
        return
    for name, rate in sorted(measured.bandwidth.items()):
        share = percent(rate / profile.bandwidth_bytes_per_s)
        yield f"measured {name}: {rate / 1e9:.0f} GB/s ({share} of the datasheet)"


def derived_lines(peaks: Sequence[Peak], bandwidth_gbps: float | None) -> Iterator[str]:
    """Peaks and bandwidth by formula, with the formula."""
    for peak in peaks:
        rate = f"{peak.tflops:.4g} {rate_unit(peak.element)}"
        yield f"{peak.unit} {peak.element}, {peak.accumulator}: {rate}  derived: {peak.source}"
    if bandwidth_gbps is not None:
        yield f"bandwidth: {bandwidth_gbps:.4g} GB/s  derived: data rate x bus / 8"
