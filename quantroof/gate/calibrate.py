"""Calibration: runs of the same code on this machine, and the slowdowns that a gate can detect here."""

from __future__ import annotations

import msgspec

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.finding import Finding
from quantroof.gate.baseline import MIN_RUNS, Baseline
from quantroof.gate.environment import Tolerance, findings, moved_anchors, without_disturbed
from quantroof.gate.learning import COLLECT, anchor_limit, learn_baseline
from quantroof.gate.times import ANCHORS, RunTimes


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """A baseline of this machine, and the runs that were left out with their reasons."""

    baseline: Baseline
    invalid: dict[str, tuple[Finding, ...]]

    @property
    def smallest_for_all(self) -> float:
        """The slowdown that the gate detects in every case with 90 % power, as a share."""
        return max(band.detectable for band in self.baseline.cases.values())


def require_hope(runs: list[RunTimes], planned: int, tolerance: Tolerance) -> None:
    """EnvironmentMissing where the first run is already unusable, or too few are left to become valid."""
    reasons = [{f.text for f in findings(times, None, tolerance)} for times in runs]
    invalid = sum(map(bool, reasons))
    if reasons[0] or planned - invalid < MIN_RUNS:
        text = "; ".join(sorted(set().union(*reasons)))
        what = f"stopped after {len(runs)} of {planned} runs, {invalid} of them not valid: {text}"
        raise EnvironmentMissing(what, hint="wait until the machine is idle")


def calibrate(runs: list[RunTimes], pairs: int, tolerance: Tolerance) -> Calibration:
    """Learn this machine's noise from A/A runs; runs whose anchors moved beyond it are listed and left out.

    UsageError for fewer than five runs, EnvironmentMissing if fewer than five valid ones are left.
    """
    if len(runs) < MIN_RUNS:
        raise UsageError(f"a baseline needs {MIN_RUNS} runs or more, not {len(runs)}", hint=COLLECT)
    limits = {
        name: anchor_limit([moved[name] for times in runs for moved in times.anchoring.moved.values()])
        for name in ANCHORS
        if any(times.anchoring.moved for times in runs)
    }
    invalid: dict[str, tuple[Finding, ...]] = {}
    runs = [without_disturbed(times, limits)[0] for times in runs]
    for times in runs:
        run_findings = (*findings(times, None, tolerance), *moved_anchors(times, limits))
        if run_findings:
            invalid[times.run.info.run_id] = run_findings
    valid = [times for times in runs if times.run.info.run_id not in invalid]
    if len(valid) < MIN_RUNS:
        reasons = "; ".join(sorted({f.text for run_findings in invalid.values() for f in run_findings}))
        what = f"{len(valid)} of {len(runs)} runs are valid, {MIN_RUNS} are needed: {reasons}"
        raise EnvironmentMissing(what, hint="calibrate on a quiet machine, or with more --runs")
    return Calibration(baseline=learn_baseline(valid, pairs), invalid=invalid)
