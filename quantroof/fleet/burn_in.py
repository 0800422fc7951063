"""A node under load: every GPU at once, in bursts and sustained, suspects once more, then a verdict."""

from __future__ import annotations

import platform
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from quantroof.bench.run import Job, new_job
from quantroof.errors import QuantroofError
from quantroof.fleet.analysis import Analysis, analyze
from quantroof.fleet.collection import Collection, Population, Unit
from quantroof.fleet.gather import gather
from quantroof.fleet.live import HealthMonitor
from quantroof.fleet.node import NodeEvidence, NodeReport, node_report
from quantroof.fleet.policy import Policy
from quantroof.fleet.preflight import Finding
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import FILE_NAME, read_run
from quantroof.records.run import RunOptions

_PROCESSES = 3
"""What one process has by chance (a memory placement, a library's choice) is no property of a GPU: bursts are
repeated. A sustained case takes three seconds, and heat does not care about processes."""

_HEATING = ("bf16", "int8-w8a8")
"""Formats under sustained load: what every tensor core since Ampere runs hot on, in half a minute."""

Measure = Callable[[Job, Path], None]
"""Runs a job into a directory, with whatever progress the caller shows."""


@dataclass(frozen=True, slots=True)
class BurnInOptions:
    """What is to be judged. `past` are earlier runs of this node, beside those in `folder`; `reference` runs
    of other GPUs of the model; `expected` the number of GPUs that should be here; `heating` the formats under
    sustained load."""

    devices: tuple[Device, ...]
    folder: Path
    past: tuple[str, ...] = ()
    reference: tuple[str, ...] = ()
    policy: Policy = field(default_factory=Policy)
    expected: int | None = None
    run_options: RunOptions = field(default_factory=lambda: RunOptions(suite="node"))
    heating: tuple[str, ...] = _HEATING
    command: tuple[str, ...] = ("quantroof", "doctor", "--burn-in")


@dataclass(frozen=True, slots=True)
class BurnInResult:
    """The verdict and the runs it rests on."""

    verdict: NodeReport
    directories: tuple[Path, ...]


class BurnIn:
    """The steps of one burn-in; what is measured stays in the folder whatever happens later."""

    def __init__(self, options: BurnInOptions) -> None:
        self._options = options
        self._monitor = HealthMonitor(options.devices)
        self._monitor.look()
        busy = self._monitor.busy()
        self._free = tuple(device for device in options.devices if device not in busy)
        self._earlier = (*options.past, *map(str, sorted(options.folder.rglob(FILE_NAME))))  # as of now
        self._reference = gather(options.reference) if options.reference else None
        if options.past:
            gather(options.past)  # what cannot be read at all is said before the load, not after it
        self._jobs = self._plan(seed=0)
        self._directories: list[Path] = []

    def estimate_s(self) -> tuple[float, float]:
        """Longest expected seconds: without suspects, and with all of it measured again."""
        once = sum(job.estimate_s() for job in self._jobs)
        return once, 2 * once

    def run(self, measure: Measure) -> BurnInResult:
        """Measure and judge. Devices that somebody else uses are left alone and not judged."""
        ids = {job.info.run_id for job in self._jobs}
        found: list[Analysis] = []
        if self._jobs:
            with self._monitor:
                names = self._measure(measure, self._jobs)
                found = self._analyze(names, ids, None)
                if _suspects(found, ids):
                    again = gather(self._measure(measure, self._plan(seed=1)))
                    found = self._analyze(names, ids, again)
            self._monitor.look(loaded=True)
        options, live = self._options, self._monitor.findings
        seen = NodeEvidence(live, ids, _failures(self._directories))
        verdict = node_report(platform.node(), options.devices, found, seen, options.expected)
        return BurnInResult(verdict, tuple(self._directories))

    def _plan(self, seed: int) -> list[Job]:
        """A job a mode, none where every device is busy. The second time other data and the same load: a GPU
        alone would be cooler."""
        if not self._free:
            return []
        burst = replace(self._options.run_options, mode="burst", processes=_PROCESSES, seed=seed)
        hot = replace(burst, mode="sustained", processes=1, formats=self._options.heating, ceilings=False)
        return [new_job(run_options, self._free, self._options.command) for run_options in (burst, hot)]

    def _measure(self, measure: Measure, jobs: list[Job]) -> list[str]:
        """Run jobs; the names of their directories."""
        names = []
        for job in jobs:
            again = "-again" if job.info.options.seed else ""
            directory = self._options.folder / f"{job.info.run_id}-{job.info.options.mode}{again}"
            self._directories.append(directory)
            self._run_job(measure, job, directory)
            names.append(str(directory))
        return names

    def _run_job(self, measure: Measure, job: Job, directory: Path) -> None:
        """Run a job; a GPU on which nothing could be started failed, and does not end the others' burn-in.

        What ends all of them, such as a torch without CUDA or a full disk, is no GPU's fault and is raised.
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
        """Judge our runs, a mode at a time; earlier runs of other GPUs in the folder are no siblings."""
        everything = gather([*self._earlier, *names])
        ours = {(u.population, u.identity): u.node for u in everything.units if u.run_id in ids}
        found = []
        for kind in dict.fromkeys(population for population, _ in ours):
            here = {identity: node for (population, identity), node in ours.items() if population == kind}
            alike = everything.only(partial(_is_one_of, here, kind))
            found.append(analyze(alike, self._options.policy, retest=retest, reference=self._reference))
        return found


def _is_one_of(here: dict[str, str], kind: Population, unit: Unit) -> bool:
    """Whether a unit is a run of one of our GPUs (node by identity), measured alike."""
    return unit.population == kind and here.get(unit.identity) == unit.node


def _suspects(found: list[Analysis], ids: set[str]) -> bool:
    """Whether a GPU of ours is slow; what failed outright is not asked twice."""
    slow = ("defective", "below policy")
    ours = [gpu for analysis in found for gpu in analysis.gpus if gpu.unit.run_id in ids]
    return any(finding.grade in slow for gpu in ours for finding in gpu.findings)


def _failures(directories: list[Path]) -> dict[str, str]:
    """Why lines failed, by device: the most frequent reason."""
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for directory in directories:
        for line in read_run(directory).measurements:
            if line.status in ("failed", "incorrect") and line.reason:
                reasons[line.device][line.reason] += 1
    return {device: counts.most_common(1)[0][0] for device, counts in reasons.items()}
