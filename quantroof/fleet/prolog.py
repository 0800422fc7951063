"""A node in front of a job: all GPUs at once for some seconds, suspects once more, then a verdict.

What was measured when the time is up is judged; a GPU that did not answer is named.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from quantroof.analysis.distributions import MAX_FREEDOM
from quantroof.bench.provenance import host_name
from quantroof.bench.run import Job, new_job
from quantroof.finding import Finding
from quantroof.fleet.again import slow_codes
from quantroof.fleet.analysis import Analysis
from quantroof.fleet.burn_in import Measure, analyze_own, failures
from quantroof.fleet.collection import Collection
from quantroof.fleet.gather import gather
from quantroof.fleet.kept import ENDING, forget
from quantroof.fleet.live import HealthMonitor
from quantroof.fleet.node import NodeEvidence, NodeReport, node_report
from quantroof.fleet.policy import MIN_SIBLINGS, NATURAL_SPREAD, Policy
from quantroof.fleet.slow_side import SlowSide, few_alike
from quantroof.fleet.telemetry import telemetry
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import read_run
from quantroof.records.latest import FILE_NAME
from quantroof.records.run import RunOptions

START_S, JUDGE_S = 5.0, 2.0
"""Allowances for the start of the workers (torch and its libraries) and for the verdict."""
_SETUP_S = 0.25
"""Allowance for the set-up of a case: weights, the check against the reference, warm-up."""
_LEAST_S = 0.05
_NOISE = 0.005
"""Relative noise of a class of one GPU from check to check, as in the simulated world (docs/measured)."""
_REFERENCE = "a reference of 1024 GPUs"
_POWER = 1.645  # a loss is seen with 95 % probability this many spreads beyond its limit


@dataclass(frozen=True, slots=True)
class PrologOptions:
    """What is judged, in which time. `past` and `reference` are as for a burn-in; `seed` makes the data."""

    devices: tuple[Device, ...]
    folder: Path
    past: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    expected: int | None = None
    limit_s: float = 15.0
    seed: int = 0
    command: tuple[str, ...] = ("quantroof", "doctor", "--prolog")


@dataclass(frozen=True, slots=True)
class Visible:
    """What a class of test can see: the smallest loss that it finds with 95 % probability, by comparison."""

    name: str
    cases: int
    seconds: float
    losses: dict[str, float]


class Prolog:
    """One check. `report` may be called at any moment and judges what was measured until then."""

    def __init__(self, options: PrologOptions) -> None:
        self._options = options
        self._monitor = HealthMonitor(options.devices)
        self._monitor.look()
        busy = self._monitor.busy()
        self._free = tuple(device for device in options.devices if device not in busy)
        self._earlier = (*options.past, *map(str, sorted(options.folder.rglob(FILE_NAME))))
        self._reference = gather(options.reference) if options.reference else None
        self._job = self._plan(0) if self._free else None
        self._first: Path | None = None
        self._again: Collection | None = None

    def visible(self) -> list[Visible]:
        """Which loss each class of test can see here, if healthy GPUs spread as usual.

        The GPU that lost speed is no more average than the others, so their spread counts in the margin too.
        """
        policy, gpus = self._options.policy, len(self._free)
        plans = self._job.plans if self._job else ()
        cases = max((plan.timed for plan in plans), default=0) // len(NATURAL_SPREAD)
        seconds = plans[0].settings.seconds_per_case if plans else 0.0
        result = []
        for name, spread in NATURAL_SPREAD.items():
            here, many = few_alike(spread, max(gpus, 1)), SlowSide(spread, MAX_FREEDOM)
            siblings = self._loss(here.limit(policy.healthy_share), spread)
            losses = {"siblings": siblings} if gpus >= MIN_SIBLINGS else {}
            limit = max(many.limit_among(policy.healthy_share, max(gpus, 1)), policy.log_floor)
            losses[_REFERENCE] = self._loss(limit, spread)
            losses["its own past"] = self._loss(0.0, math.sqrt(2) * _NOISE)
            result.append(Visible(name, cases, seconds, losses))
        return result

    def run(self, measure: Measure) -> NodeReport:
        """Measure, measure suspects again where the time allows it, and judge."""
        if self._job is not None:
            self._first = self._options.folder / f"{self._job.info.run_id}{ENDING}"
            with self._monitor:
                measure(self._job, self._first)
                if slow_codes(self._analyses(), {self._job.info.run_id}):
                    again = self._plan(1)
                    directory = self._options.folder / f"{again.info.run_id}{ENDING}-again"
                    measure(again, directory)
                    self._again = gather([str(directory)])
            self._monitor.look(loaded=True)
        report = self.report()
        forget(self._options.folder)
        return report

    def report(self, *, cut_off: bool = False) -> NodeReport:
        """The verdict by what was measured until now; `cut_off` means that the time is up."""
        options = self._options
        runs = [read_run(self._first)] if self._first and (self._first / FILE_NAME).exists() else []
        if cut_off and self._again is None:
            self._name_silent(Counter(line.device for run in runs for line in run.measurements))
        ids = {self._job.info.run_id} if self._job else set()
        evidence = NodeEvidence(self._monitor.findings, ids, failures(runs), telemetry(runs))
        analyses = self._analyses() if runs and any(run.measurements for run in runs) else []
        return node_report(host_name(options.devices), options.devices, analyses, evidence, options.expected)

    def _name_silent(self, lines: Counter[str]) -> None:
        """Findings for GPUs that are behind others; where none answered, nothing is known."""
        most = max(lines.values(), default=0)
        for device in self._free:
            if lines[device.id] < most:
                text = f"no answer after {lines[device.id]} of {most} measurements"
                self._monitor.add(device, Finding("failed", "no_answer", text))
            elif not most:
                text = f"nothing was measured within {self._options.limit_s:.0f} s"
                self._monitor.add(device, Finding("unknown", "no_time", text))

    def _analyses(self) -> list[Analysis]:
        names = [*self._earlier, str(self._first)]
        ids = {self._job.info.run_id} if self._job else set()
        return analyze_own(gather(names), ids, self._options.policy, self._again, self._reference)

    def _loss(self, limit: float, spread: float) -> float:
        """The loss of speed that lies the margin of a spread beyond a limit in log time."""
        limit = max(limit, self._options.policy.log_effect)
        return -math.expm1(-(limit + _POWER * math.hypot(spread, _NOISE)))

    def _plan(self, again: int) -> Job:
        options = self._options
        seed = 2 * options.seed + again
        run_options = RunOptions(suite="prolog", seed=seed, again=again > 0, ceilings=False)
        job = new_job(run_options, self._free, options.command)
        cases = max((plan.timed for plan in job.plans), default=1)
        room = (options.limit_s - START_S - JUDGE_S) / 2
        return job.lasting(max(_LEAST_S, room / max(cases, 1) - _SETUP_S), options.limit_s)
