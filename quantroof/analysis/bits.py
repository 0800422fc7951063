"""Did a device compute the same product differently? Findings by device, from its exact products."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator

from quantroof.finding import Finding
from quantroof.records.lines import Bits


def judge_bits(lines: Iterable[Bits]) -> dict[str, list[Finding]]:
    """One wrong output fails a device: exact products have one result."""
    lines = list(lines)
    findings: dict[str, list[Finding]] = defaultdict(list)
    for line in lines:
        if line.status == "incorrect":
            findings[line.device].append(Finding("failed", "bits", _wrong(line)))
        elif line.status == "failed":
            text = f"exact products of {line.product}: {line.reason}"
            findings[line.device].append(Finding("failed", "bits_failed", text))
    for device, finding in _unlike(lines):
        findings[device].append(finding)
    return dict(findings)


def _wrong(line: Bits) -> str:
    """How often, and the first place with the state of the device; a library does not report the SM."""
    if line.first is None:
        return line.reason or f"{line.product}: wrong"
    first, state = line.first, line.state
    how_often = f"wrong outputs: {line.wrong_outputs} in {line.wrong_repeats} of {line.repeats} repeats"
    where = f"first in tile ({first.tile_row}, {first.tile_column}) at ({first.row}, {first.column})"
    where += "" if first.sm is None else f" on SM {first.sm}"
    values = f"{first.computed:g} instead of {first.expected:g}"
    seen = [
        f"{value:.0f} {unit}"
        for value, unit in ((state and state.sm_clock_mhz, "MHz"), (state and state.temperature_c, "C"))
        if value is not None
    ]
    return ", ".join([f"exact products of {line.product}: {how_often}", where, values, *seen])


def _unlike(lines: list[Bits]) -> Iterator[tuple[str, Finding]]:
    """Devices whose first result differs from that of most devices."""
    digests: dict[tuple[str, tuple[int, ...]], Counter[str]] = defaultdict(Counter)
    for line in lines:
        if line.digest is not None:
            digests[line.product, line.shape][line.digest] += 1
    for line in lines:
        counts = digests.get((line.product, line.shape))
        if line.digest is None or counts is None:
            continue
        (usual, most), total = counts.most_common(1)[0], counts.total()
        if line.digest != usual and most > total / 2:
            text = f"exact products of {line.product}: another result than {most} of {total} devices"
            yield line.device, Finding("failed", "bits", text)
