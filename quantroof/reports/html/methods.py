"""How it was measured, read from the records: timers, cache state, stopping, formulas, sources, unknowns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from quantroof import units
from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.guard import ROOF_NOISE
from quantroof.analysis.unmeasured import named
from quantroof.records.lines import Timing
from quantroof.reports.facts import Facts
from quantroof.reports.html.columns import TIME_DIGITS

_METHODS = {
    "cpu-blocks": "perf_counter around blocks of calls",
    "cuda-graph": "replays of a CUDA graph between device events",
    "cuda-events": "device events behind a spin kernel",
    "cuda-eager": "wall time of eager calls, launches included",
    "simulated": "SIMULATED: a roofline model with noise, no device was measured",
}
FORMULAS: Facts = [
    ("operations", "2 M N K; a multiply-add is two, dequantization and scaling count none"),
    ("bytes", "compulsory traffic: packed weights, scales, zero points, activations and output, each once"),
    ("roof", "max(operations / matrix rate, bytes / read bandwidth): the shortest time both roofs allow"),
    ("share of roof", f"roof time / median time; above {units.percent(1 + ROOF_NOISE)} an error to explain"),
    ("interval", "distribution-free 95 % interval of the median, widened for autocorrelated samples"),
    ("processes", "from 3 fresh processes on, the interval is of their medians, else of one's samples"),
    ("error", "relative Frobenius error against fp64 of the values the kernel was given"),
    ("format error", "the same against the product of the unquantized values: what the format itself costs"),
    ("W8A8", "plain -w8a8 formats quantize the bf16 activations inside the timed call"),
    ("-static", "these formats receive activations already quantized, so they are shown but cannot win"),
    ("ties", "a format ties with the winner where their 95 % intervals overlap"),
    ("figures here", f"times have {TIME_DIGITS} significant digits; quantroof export writes all of them"),
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Methods:
    """How the figures of a report came about, and what is unknown about them."""

    timing: Facts
    formulas: Facts
    sources: Facts
    unknowns: list[str]


def methods(devices: list[DeviceResults]) -> Methods:
    """Read them from the records."""
    return Methods(_timing(devices), FORMULAS, _sources(devices), _unknowns(devices))


def _timing(devices: list[DeviceResults]) -> Facts:
    """How the samples were taken, counted over all timed cases."""
    timings = [p.measurement.timing for results in devices for p in results.timed if p.measurement.timing]
    if not timings:
        return [("timing", "nothing was timed")]
    return [
        ("timer", _counted(timings, lambda t: _METHODS[t.method])),
        ("weights", _counted(timings, _cache)),
        ("stays hot", _counted(timings, lambda t: ", ".join(t.hot) or "nothing")),
        ("mode", _counted(timings, lambda t: t.mode)),
        ("samples", _span([len(t.samples_ns) for t in timings]) + " per case, none removed"),
        ("calls per sample", _span([t.calls_per_sample for t in timings])),
        ("stopped by", _counted(timings, lambda t: t.stopped_by)),
    ]


def _sources(devices: list[DeviceResults]) -> Facts:
    """Where the datasheet figures come from."""
    profiles = {s.profile.id: s.profile for s in devices if s.profile is not None}
    facts: Facts = []
    for profile in profiles.values():
        bandwidth = profile.bandwidth_gbps
        figures = [(f"{profile.id} {profile.origin}", text) for text in profile.assumptions]
        figures += [(f"{profile.id} bandwidth", f"{bandwidth.source} ({bandwidth.basis})")]
        for peak in profile.peaks:
            name = f"{profile.id} {peak.unit} {peak.element}, {peak.accumulator}"
            figures.append((name, f"{peak.source} ({peak.basis})"))
        facts += figures
    return facts


def _unknowns(devices: list[DeviceResults]) -> list[str]:
    """What is missing from these records, one sentence each; what several devices share is said once."""
    where: dict[str, list[str]] = {}
    for results in devices:
        for text in _lacking(results):
            where.setdefault(text, []).append(results.label)
    return [f"{named(labels, len(devices))}: {text}" for text, labels in where.items()]


def _lacking(results: DeviceResults) -> Iterator[str]:
    states = [p.measurement.state for p in results.timed]
    absent = [
        text
        for name, text in _STATE.items()
        if results.timed and all(state is None or getattr(state, name) is None for state in states)
    ]
    if absent:
        yield f"{', '.join(absent)} not reported"
    if results.datasheet is None:
        yield "no datasheet profile, so only measured roofs are drawn"
    if results.timed and not results.measured.bandwidth:
        yield "no bandwidth was measured, so no share of a measured roof is known"
    lacking = sorted({p.case.compute.name for p in results.timed} - set(results.measured.matrix))
    if lacking:
        yield f"no matrix rate was measured for {', '.join(lacking)}"


_STATE = {
    "sm_clock_mhz": "SM clock",
    "temperature_c": "temperature",
    "power_w": "power",
    "reasons": "clock-event reasons",
}


def _cache(timing: Timing) -> str:
    if timing.cache == "hot":
        return "hot: one set, read from cache where it fits"
    return f"cold: {timing.copies} sets rotated, {units.size(timing.rotated_bytes)}"


def _counted(timings: list[Timing], of: Callable[[Timing], str]) -> str:
    counts = Counter(of(timing) for timing in timings).most_common(4)
    if len(counts) == 1:
        return counts[0][0]
    rest = len(timings) - sum(count for _, count in counts)
    texts = [f"{text} ({count} cases)" for text, count in counts]
    return "; ".join([*texts, f"others ({rest} cases)"] if rest else texts)


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
