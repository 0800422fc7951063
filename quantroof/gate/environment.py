"""Whether the environment of a run allows a verdict: throttling, moving clocks, other load, moving anchors.

An invalid environment is not a regression: CI should repeat the job elsewhere instead of failing it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Annotated

import msgspec

from quantroof.finding import Finding
from quantroof.gate.baseline import AnchorBand, Baseline
from quantroof.gate.contract import contract_of, machine_breaches
from quantroof.gate.times import ANCHORS, CLOCK_FLAGS, RunTimes, flag_counts, timed_lines
from quantroof.hwprofiles.clock_events import FAULTS, faults
from quantroof.records.lines import Anchor, AnchorName, Measurement

_LEVEL_SPREADS = 4.0
_LEVEL_MOVED = 0.05
_MAY_MOVE_SHARE = 0.2


Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Tolerance(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of measurements that may carry a flag before the run is invalid."""

    clock_moved_share: Share = 0.25
    foreign_load_share: Share = 0.5


def findings(times: RunTimes, baseline: Baseline | None, tolerance: Tolerance) -> tuple[Finding, ...]:
    """Everything that forbids a verdict on a run; with a baseline also what breaks its contract."""
    run_findings = [*_throttled(times), *_flagged(times, tolerance)]
    if baseline is not None:
        breaches = machine_breaches(baseline.contract, contract_of(times))
        run_findings += [Finding("unknown", "other_machine", text) for text in breaches]
        run_findings += moved_anchors(times, baseline.anchor_limits)
        run_findings += [f for name in ANCHORS for f in _level(times, name, baseline.anchors[name])]
    return tuple(run_findings)


def moved_anchors(times: RunTimes, limits: dict[AnchorName, float]) -> Iterator[Finding]:
    """Processes whose anchors moved from start to end by more than the machine's noise."""
    for texts in _moved(times, limits).values():
        yield from (Finding("unknown", "anchor_moved", text) for text in texts)


def without_disturbed(times: RunTimes, limits: dict[AnchorName, float]) -> tuple[RunTimes, tuple[str, ...]]:
    """A run without the processes whose anchors moved, and why, where they are one of five at most.

    Of more nothing is left out: the machine is not fit, and `findings` has the reasons.
    """
    moved = _moved(times, limits)
    if not moved or len(moved) > _MAY_MOVE_SHARE * len(times.anchoring.moved):
        return times, ()
    remarks = tuple(f"process {process} is left out: {'; '.join(texts)}" for process, texts in moved.items())
    return times.without(moved.keys()), remarks


def _moved(times: RunTimes, limits: dict[AnchorName, float]) -> dict[int, list[str]]:
    """By process, what its anchors did; only those that moved too far."""
    texts = {
        process: [
            f"the {name} anchor moved {math.expm1(amount):.1%} within process {process},"
            f" this machine's noise allows {math.expm1(limits[name]):.1%}"
            for name, amount in moved.items()
            if amount > limits[name]
        ]
        for process, moved in sorted(times.anchoring.moved.items())
    }
    return {process: own for process, own in texts.items() if own}


def _level(times: RunTimes, name: AnchorName, band: AnchorBand) -> Iterator[Finding]:
    """A machine that slowed down as a whole, which dividing by the anchors would hide."""
    change = times.anchor_level()[name] - math.log(band.ns)
    limit = max(math.log1p(_LEVEL_MOVED), _LEVEL_SPREADS * band.scale)
    if change > limit:
        text = (
            f"the {name} anchor takes {math.expm1(change):.1%} longer than when the baseline was made"
            f" (noise allows {math.expm1(limit):.1%}): the machine is slow, not the code"
        )
        yield Finding("unknown", "machine_slow", text)


def _throttled(times: RunTimes) -> Iterator[Finding]:
    lines: list[Measurement | Anchor] = [*times.run.measurements, *times.run.anchors]
    states = [x.state for x in lines if x.device == times.device.id and x.state is not None]
    counts = Counter(text for state in states for text in faults(state.reasons))
    for fault in faults(FAULTS):
        if count := counts[fault]:
            text = f"the GPU reported {fault} in {count} of {len(states)} measurements"
            yield Finding("unknown", "throttled", f"{text}: check cooling and power")


def _flagged(times: RunTimes, tolerance: Tolerance) -> Iterator[Finding]:
    counts = flag_counts(times)
    lines = len(timed_lines(times))
    if counts["foreign_process"]:
        text = f"other processes were on the GPU in {counts['foreign_process']} measurements"
        yield Finding("unknown", "foreign_process", f"{text}: use a GPU that nothing else uses")
    if counts["ecc_errors"]:
        text = f"uncorrectable ECC errors occurred in {counts['ecc_errors']} measurements: drain this GPU"
        yield Finding("failed", "ecc_errors", text)
    if counts["foreign_load"] > tolerance.foreign_load_share * lines:
        text = f"other processes kept the CPU busy in {counts['foreign_load']} of {lines} measurements"
        yield Finding("unknown", "foreign_load", f"{text}: use an idle host")
    moved = sum(counts[code] for code in CLOCK_FLAGS)
    if moved > tolerance.clock_moved_share * lines:
        text = f"the SM clock moved in {moved} of {lines} measurements: lock it below the power cap"
        yield Finding("unknown", "clock_moved", text)
