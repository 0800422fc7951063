"""A run from start to end: plans become a run directory, even if the run fails or is interrupted."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from quantroof.bench import provenance
from quantroof.bench.bits.run import bits_lines
from quantroof.bench.links.bus import BRIEF, LinkPlan
from quantroof.bench.links.run import link_ceilings
from quantroof.bench.plan import DevicePlan, kernels_of, make_plans
from quantroof.bench.scheduler import DeviceQueue, Observer, Scheduler
from quantroof.bench.suite import Suite, load, parse
from quantroof.errors import QuantroofError, UsageError, described
from quantroof.hwprofiles import catalog, derive
from quantroof.hwprofiles.types import Device, HardwareProfile, isa_change
from quantroof.kernels.sass.cache import require_cache
from quantroof.kernels.sources import kernel_sources
from quantroof.records.directory import Run, RunWriter, read_run
from quantroof.records.lines import GroupKey
from quantroof.records.run import SCHEMA, RunInfo, RunOptions, environment_changes


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run: the header of the run file and the plan of every device."""

    info: RunInfo
    plans: tuple[DevicePlan, ...]
    serial: bool = False
    links: LinkPlan | None = None
    """What is measured of the links between the GPUs, once the devices are done."""
    bits_s: float | None = None
    """How long every device then repeats exact products; None for not at all."""

    def stages(self) -> list[list[DeviceQueue]]:
        """Stages that run one after another; the device queues of a stage run at the same time.

        GPUs do not share memory bandwidth, so all of them run in the first stage. The CPU runs alone in the
        second, because it also launches the GPUs' kernels. `serial` puts everything into one queue.
        """
        if self.serial:
            return [[list(self.plans)]]
        stages = []
        for processor in ("gpu", "cpu"):
            plans = [plan for plan in self.plans if plan.device.processor == processor]
            devices = dict.fromkeys(plan.device.id for plan in plans)
            queues = [[plan for plan in plans if plan.device.id == device] for device in devices]
            stages += [queues] if queues else []
        return stages

    def estimate_s(self) -> float:
        """Expected wall time in seconds."""
        cases = sum(
            max(sum(plan.estimate_s() for plan in queue) for queue in stage) for stage in self.stages()
        )
        gpus = sum(device.processor == "gpu" for device in self.info.devices)
        links = self.links.estimate_s(gpus) if self.links is not None and gpus else 0.0
        return cases + links + (self.bits_s or 0.0)

    def lasting(self, seconds_per_case: float, case_timeout_s: float) -> Job:
        """The same job with these limits per case in seconds, without planning it again."""
        change = msgspec.structs.replace
        limits = {"seconds_per_case": seconds_per_case, "case_timeout_s": case_timeout_s}
        plans = tuple(replace(plan, settings=change(plan.settings, **limits)) for plan in self.plans)
        info = change(self.info, options=change(self.info.options, **limits))
        return replace(self, info=info, plans=plans)


def new_job(
    options: RunOptions, devices: tuple[Device, ...], command: tuple[str, ...], suite: Suite | None = None
) -> Job:
    """Plan a new run of the suite that the options name, or of another.

    UsageError for anything in the suite or the options that is not understood.
    """
    if len({d.kind == "sim" for d in devices}) > 1:
        raise UsageError("simulated and real devices cannot share a run", hint="run them one after the other")
    suite = load(options.suite) if suite is None else suite
    plans = make_plans(suite, devices, options)
    kernels = kernels_of(plans)
    profiles = {d.id: p for d in devices if (p := _profile(d)) is not None}
    simulated = any(d.kind == "sim" for d in devices)
    info = RunInfo(
        schema=SCHEMA,
        run_id=provenance.new_run_id(),
        started_at=provenance.now(),
        command=command,
        suite=suite.name,
        suite_source=suite.source,
        options=options,
        devices=devices,
        profiles=profiles,
        versions=provenance.versions(),
        environment={} if simulated else provenance.environment(),
        host=provenance.host(devices),
        git=provenance.source_revision(),
        simulated=simulated,
        plan=tuple(key for plan in plans if plan.process == 0 for key in plan.keys),
        processes=options.processes,
        kernel_sources=kernel_sources(kernels),
    )
    return Job(info, plans, options.serial, links=BRIEF if options.ceilings else None)


def resumed_job(run: Run, detected: tuple[Device, ...]) -> Job:
    """What an interrupted run has left to do, on the same devices. UsageError if they are not here."""
    info = run.info
    options = info.options
    for device in info.devices:
        if device.kind != "sim" and (device.id, device.uuid, device.name) not in {
            (d.id, d.uuid, d.name) for d in detected
        }:
            what = f"it was measured on {device.id} '{device.name}', which is not here"
            raise UsageError(what, where=str(run.path), hint="resume it on the machine it was started on")
    _require_same_environment(info, detected, str(run.path))
    suite = parse(info.suite_source, info.suite)
    past = {m.device for m in run.measurements}
    plans = tuple(
        plan.without(
            run.done(),
            _groups_done(run, plan.device, past_ceilings=plan.device.id in past),
            past_ceilings=plan.device.id in past,
        )
        for plan in make_plans(suite, info.devices, options)
    )
    again = options.ceilings and not any(c.quantity == "link" for c in run.ceilings)
    return Job(info, plans, options.serial, BRIEF if again else None)


def _require_same_environment(info: RunInfo, detected: tuple[Device, ...], where: str) -> None:
    """UsageError where variables that steer the libraries, the number of threads or the CPU's instruction
    sets differ from those of the run's beginning."""
    texts = [] if info.simulated else environment_changes(info.environment, provenance.environment())
    now = {device.id: device.cpu for device in detected}
    for before, after in ((device.cpu, now.get(device.id)) for device in info.devices):
        if before is None or after is None:
            continue
        if before.usable_cores != after.usable_cores:
            texts.append(f"threads {before.usable_cores} -> {after.usable_cores}")
        if sets := isa_change(before.isa, after.isa):
            texts.append(f"instruction sets {sets}")
    if texts:
        hint = "resume it in the environment that it was started in"
        raise UsageError(f"its environment changed: {', '.join(texts)}", where=where, hint=hint)


def _groups_done(run: Run, device: Device, *, past_ceilings: bool) -> tuple[GroupKey, ...]:
    """The groups of ceilings that need not be tried again; the last may have been interrupted."""
    groups = list(dict.fromkeys(c.group for c in run.ceilings if c.device == device.id))
    return tuple(groups if past_ceilings else groups[:-1])


def execute(job: Job, writer: RunWriter, observer: Observer) -> None:
    """Run every plan, devices at the same time, and write each record at once.

    KeyboardInterrupt stops the workers, ends the file as interrupted and is raised again; an error ends it
    as failed. What was measured is kept in both cases.
    """
    scheduler = Scheduler(writer, observer)
    try:
        require_cache(k.provider for k in kernels_of(p for p in job.plans if p.device.kind == "cuda"))
        for stage in job.stages():
            scheduler.run(stage)
        for line in link_ceilings(job.info.devices, job.links) if job.links else ():
            scheduler.emit(line)
        for bits in bits_lines(job.info.devices, job.bits_s) if job.bits_s else ():
            scheduler.emit(bits)
    except KeyboardInterrupt:
        scheduler.stop()
        scheduler.finish("interrupted")
        raise
    except Exception as error:
        with suppress(OSError):  # a full disk ended the run, and takes no last line either
            scheduler.finish("failed", str(error) if isinstance(error, QuantroofError) else described(error))
        raise
    scheduler.finish("complete")


def open_again(directory: Path, detected: tuple[Device, ...]) -> tuple[Job, RunWriter]:
    """Continue a run directory: what is left of it, and its file open for appending."""
    job = resumed_job(read_run(directory), detected)
    return job, RunWriter.reopen(directory)


def _profile(device: Device) -> HardwareProfile | None:
    """The catalog's profile, else for a GPU one derived by formula; None if neither exists."""
    profile = catalog.match(device)
    if profile is not None or device.kind != "cuda":
        return profile
    try:
        return derive.profile(device)
    except UsageError:
        return None
