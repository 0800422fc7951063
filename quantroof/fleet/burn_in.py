"""A node under load: all GPUs at once in burst and sustained mode, suspects a second time, then a verdict."""

from __future__ import annotations

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from quantroof.bench.links.bus import FULL
from quantroof.bench.provenance import host_name
from quantroof.bench.run import Job, new_job
from quantroof.errors import QuantroofError
from quantroof.finding import Finding
from quantroof.fleet.again import jobs_again, second_measurement, slow_codes
from quantroof.fleet.analysis import Analysis, analyze
from quantroof.fleet.beside import node_links
from quantroof.fleet.collection import Collection, Population, Unit
from quantroof.fleet.gather import gather
from quantroof.fleet.live import HealthMonitor
from quantroof.fleet.node import NodeEvidence, NodeReport, node_report
from quantroof.fleet.policy import Policy
from quantroof.fleet.telemetry import telemetry
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run, read_run
from quantroof.records.latest import FILE_NAME
from quantroof.records.run import RunOptions

_PROCESSES = 3
"""Memory placement and a library's choice of kernel differ by chance between processes, so bursts run in
three. A sustained case takes three seconds and depends on heat, not on the process."""

_HEATING = ("bf16", "int8-w8a8")
"""Formats under sustained load: in half a minute they heat every GPU with tensor cores since Ampere."""

_BITS_SHARE = 0.25
"""The part of a soak in which exact products are repeated and compared."""

Measure = Callable[[Job, Path], None]
"""Runs a job into a directory and shows the caller's progress."""


@dataclass(frozen=True, slots=True)
class BurnInOptions:
    """What is judged. `past` names earlier runs of this node in addition to those in `folder`, `reference`
    runs of other GPUs of the model, `expected` the number of GPUs that should be here, `heating` the formats
    under sustained load."""

    devices: tuple[Device, ...]
    folder: Path
    past: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    expected: int | None = None
    run_options: RunOptions = field(default_factory=lambda: RunOptions(suite="node"))
    heating: tuple[str, ...] = _HEATING
    minutes: float | None = None
    """How long the sustained load lasts at least; None for three seconds per case."""
    command: tuple[str, ...] = ("quantroof", "doctor", "--burn-in")


@dataclass(frozen=True, slots=True)
class BurnInResult:
    """The state of the node and the runs behind it."""

    node: NodeReport
    directories: tuple[Path, ...]


class BurnIn:
    """The steps of one burn-in. Its runs stay in the folder, even when a later step fails."""

    def __init__(self, options: BurnInOptions) -> None:
        self._options = options
        self._monitor = HealthMonitor(options.devices)
        self._monitor.look()
        busy = self._monitor.busy()
        self._free = tuple(device for device in options.devices if device not in busy)
        self._earlier = (*options.past, *map(str, sorted(options.folder.rglob(FILE_NAME))))  # as of now
        self._reference = gather(options.reference) if options.reference else None
        if options.past:
            gather(options.past)  # unreadable runs are an error before the load, not after it
        self._jobs = self._plan(seed=0)
        self._directories: list[Path] = []

    def estimate_s(self) -> tuple[float, float]:
        """Longest expected seconds: without suspects, and with everything measured twice."""
        once = sum(job.estimate_s() for job in self._jobs)
        return once, 2 * once

    def run(self, measure: Measure) -> BurnInResult:
        """Measure and judge. Devices in use by others are neither measured nor judged."""
        ids = {job.info.run_id for job in self._jobs}
        analyses: list[Analysis] = []
        if self._jobs:
            with self._monitor:
                names = self._measure(measure, self._jobs)
                analyses = self._analyze(names, ids, None)
                if slow := slow_codes(analyses, ids):
                    jobs = list(jobs_again(self._plan(seed=1), slow))
                    again = second_measurement(jobs, self._measure(measure, jobs))
                    analyses = self._analyze(names, ids, again)
            self._monitor.look(loaded=True)
        options, live = self._options, self._monitor.findings
        runs = [read_run(directory) for directory in self._directories]
        bits = tuple(line for run in runs for line in run.bits)
        evidence = NodeEvidence(live, ids, failures(runs), telemetry(runs), node_links(runs), bits)
        node = node_report(host_name(options.devices), options.devices, analyses, evidence, options.expected)
        return BurnInResult(node, tuple(self._directories))

    def _plan(self, seed: int) -> list[Job]:
        """One job per mode (burst, sustained); none if all devices are busy. Re-tests use a new seed."""
        if not self._free:
            return []
        options = replace(self._options.run_options, seed=seed, again=seed > 0)
        burst = replace(options, mode="burst", processes=_PROCESSES)
        hot = replace(burst, mode="sustained", processes=1, formats=self._options.heating, ceilings=False)
        jobs = [new_job(run_options, self._free, self._options.command) for run_options in (burst, hot)]
        jobs[0] = dataclasses.replace(jobs[0], links=FULL)
        if self._options.minutes is not None and not seed:
            jobs[1] = self._soak(jobs[1])
        return jobs

    def _soak(self, job: Job) -> Job:
        """The sustained job stretched to the minutes that were asked for: a part for exact products, the rest
        divided over the cases of a GPU."""
        cases = max((plan.timed for stage in job.stages() for queue in stage for plan in queue), default=1)
        bits_s = (self._options.minutes or 0) * 60 * _BITS_SHARE
        seconds = bits_s * (1 / _BITS_SHARE - 1) / max(cases, 1)
        longer = job.lasting(seconds, job.info.options.case_timeout_s + seconds)
        return dataclasses.replace(longer, bits_s=bits_s)

    def _measure(self, measure: Measure, jobs: list[Job]) -> list[str]:
        """Run jobs; returns the names of their directories."""
        names = []
        for job in jobs:
            again = "-again" if job.info.options.again else ""
            directory = self._options.folder / f"{job.info.run_id}-{job.info.options.mode}{again}"
            self._directories.append(directory)
            self._run_job(measure, job, directory)
            names.append(str(directory))
        return names

    def _run_job(self, measure: Measure, job: Job, directory: Path) -> None:
        """Run a job. A GPU on which nothing starts is `failed`, and the burn-in of the others goes on.

        An error that stops every GPU, such as a torch without CUDA or a full disk, is raised.
        """
        try:
            measure(job, directory)
        except QuantroofError as error:
            lines = read_run(directory).measurements if directory.is_dir() else []
            started = {line.device for line in lines if line.status != "skipped"}
            lost = [device for device in self._free if device.id not in started]
            if not started or not lost:
                raise
            for device in lost:
                self._monitor.add(device, Finding("failed", "no_start", str(error)))

    def _analyze(self, names: list[str], ids: set[str], retest: Collection | None) -> list[Analysis]:
        """Judge the runs of this burn-in, one mode at a time. Earlier runs of other GPUs in the folder are
        not siblings."""
        everything = gather([*self._earlier, *names])
        return analyze_own(everything, ids, self._options.policy, retest, self._reference)


def analyze_own(
    everything: Collection,
    ids: set[str],
    policy: Policy,
    retest: Collection | None,
    reference: Collection | None,
) -> list[Analysis]:
    """Judge the runs with these ids, one population at a time; other runs are their GPUs' past."""
    ours = {(u.population, u.identity): u.node for u in everything.units if u.run_id in ids}
    analyses = []
    for kind in dict.fromkeys(population for population, _ in ours):
        here = {identity: node for (population, identity), node in ours.items() if population == kind}
        alike = everything.only(partial(_is_one_of, here, kind))
        analyses.append(analyze(alike, policy, retest=retest, reference=reference))
    return analyses


def _is_one_of(here: dict[str, str], kind: Population, unit: Unit) -> bool:
    """Whether a unit is a run of one of our GPUs (node by identity) in this population."""
    return unit.population == kind and here.get(unit.identity) == unit.node


def failures(runs: list[Run]) -> dict[str, str]:
    """The most frequent reason of failed measurements, by device."""
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for run in runs:
        for line in run.measurements:
            if line.status in ("failed", "incorrect") and line.reason:
                reasons[line.device][line.reason] += 1
    return {device: counts.most_common(1)[0][0] for device, counts in reasons.items()}
