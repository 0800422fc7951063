"""Whether a run's environment allows a verdict at all: throttling, moved clocks, foreign load, moved anchors.

An invalid environment is nobody's regression: CI should repeat the job elsewhere, not turn red.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import msgspec

from quantroof.gate.baseline import AnchorBand, Baseline
from quantroof.gate.contract import contract_of, machine_breaches
from quantroof.gate.times import ANCHORS, CLOCK_FLAGS, RunTimes, flag_counts
from quantroof.records.lines import Anchor, AnchorName, Measurement

# NVML clock-event reasons of a GPU in trouble. The software power cap (0x4) is a busy GPU's normal state.
_TROUBLE = {
    0x8: "hardware slowdown",
    0x20: "thermal slowdown (software)",
    0x40: "thermal slowdown (hardware)",
    0x80: "power brake",
}
_LEVEL_SPREADS = 4.0
_LEVEL_MOVED = 0.05


class Tolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much disturbance is borne: the share of lines that may carry a flag before the run is invalid."""

    clock_moved_share: float = 0.25
    foreign_load_share: float = 0.5


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that makes an environment invalid: a code for programs, a sentence for people."""

    code: str
    text: str


def findings(times: RunTimes, baseline: Baseline | None, tolerance: Tolerance) -> tuple[Finding, ...]:
    """Everything that forbids a verdict on a run; with a baseline also what breaks its contract."""
    found = [*_throttled(times), *_flagged(times, tolerance)]
    if baseline is not None:
        breaches = machine_breaches(baseline.contract, contract_of(times))
        found += [Finding(code="other_machine", text=text) for text in breaches]
        limits = {name: band.may_move for name, band in baseline.anchors.items()}
        found += moved_anchors(times, limits)
        found += [f for name in ANCHORS for f in _level(times, name, baseline.anchors[name])]
    return tuple(found)


def moved_anchors(times: RunTimes, limits: dict[AnchorName, float]) -> Iterator[Finding]:
    """Processes whose anchors at the start and at the end lie further apart than the machine's noise."""
    for process, moved in sorted(times.anchoring.moved.items()):
        for name, amount in moved.items():
            if amount > limits[name]:
                text = (
                    f"the {name} anchor moved {math.expm1(amount):.1%} within process {process},"
                    f" this machine's noise allows {math.expm1(limits[name]):.1%}"
                )
                yield Finding(code="anchor_moved", text=text)


def _level(times: RunTimes, name: AnchorName, band: AnchorBand) -> Iterator[Finding]:
    """A node that got slow as a whole must not hide inside its anchors."""
    change = times.anchor_level()[name] - math.log(band.ns)
    limit = max(math.log1p(_LEVEL_MOVED), _LEVEL_SPREADS * band.scale)
    if change > limit:
        text = (
            f"the {name} anchor takes {math.expm1(change):.1%} longer than when the baseline was made"
            f" (noise allows {math.expm1(limit):.1%}): the machine is slow, not the code"
        )
        yield Finding(code="machine_slow", text=text)


def _throttled(times: RunTimes) -> Iterator[Finding]:
    lines: list[Measurement | Anchor] = [*times.run.measurements, *times.run.anchors]
    states = [x.state for x in lines if x.device == times.device.id and x.state is not None]
    for bit, words in _TROUBLE.items():
        hit = sum(1 for state in states if state.reasons is not None and state.reasons & bit)
        if hit:
            text = (
                f"the GPU reported {words} in {hit} of {len(states)} measurements: look at cooling and power"
            )
            yield Finding(code="throttled", text=text)


def _flagged(times: RunTimes, tolerance: Tolerance) -> Iterator[Finding]:
    counts = flag_counts(times)
    lines = max(1, sum(len(by_process) for by_process in times.log_ns.values()) + len(times.run.anchors))
    if counts["foreign_process"]:
        text = f"other processes were on the GPU in {counts['foreign_process']} measurements"
        yield Finding(code="foreign_process", text=f"{text}: gate on a GPU of its own")
    if counts["ecc_errors"]:
        text = "uncorrected memory errors came meanwhile: take the GPU out of service"
        yield Finding(code="ecc_errors", text=text)
    if counts["foreign_load"] > tolerance.foreign_load_share * lines:
        text = f"other processes kept the CPU busy in {counts['foreign_load']} of {lines} measurements"
        yield Finding(code="foreign_load", text=f"{text}: gate on an idle host")
    moved = sum(counts[code] for code in CLOCK_FLAGS)
    if moved > tolerance.clock_moved_share * lines:
        text = f"the SM clock moved in {moved} of {lines} measurements: lock it below the power cap"
        yield Finding(code="clock_moved", text=text)
