"""A run from start to end: plans in, a run directory out, whatever happens in between."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Protocol

import msgspec

from quantroof.bench import provenance
from quantroof.bench.plan import DevicePlan, make_plan
from quantroof.bench.settings import Wishes
from quantroof.bench.sim import SimulatedRun
from quantroof.bench.suite import Suite, load, parse
from quantroof.bench.workers.device_run import DeviceRun, Stopped
from quantroof.errors import QuantroofError, UsageError
from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.types import Device
from quantroof.kernels.registry import Kernel
from quantroof.kernels.sources import kernel_sources
from quantroof.records.directory import Run, RunWriter, read_run
from quantroof.records.lines import SCHEMA, Anchor, Ceiling, Measurement, Outcome, RunEnd, RunInfo


class Observer(Protocol):
    """Is told what happens, for a progress display."""

    def line(self, line: Ceiling | Measurement) -> None:
        """A line was written."""


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be run: the header of the run file and the plan of every device."""

    info: RunInfo
    plans: tuple[DevicePlan, ...]
    serial: bool = False

    def lanes(self) -> list[list[DevicePlan]]:
        """Plans that run one after another; lanes run side by side, one a device unless serial."""
        if self.serial:
            return [list(self.plans)]
        devices = dict.fromkeys(plan.device.id for plan in self.plans)
        return [[plan for plan in self.plans if plan.device.id == device] for device in devices]

    def estimate_s(self) -> float:
        """Expected wall time in seconds."""
        return max((sum(p.estimate_s() for p in lane) for lane in self.lanes()), default=0.0)


def new_job(wishes: Wishes, devices: tuple[Device, ...], command: tuple[str, ...]) -> Job:
    """Plan a new run. UsageError for anything in the suite or the wishes that is not understood."""
    if len({d.kind == "sim" for d in devices}) > 1:
        raise UsageError("simulated and real devices cannot share a run", hint="run them one after the other")
    suite, text = load(wishes.suite)
    plans = _plans(suite, devices, wishes, wishes.suite)
    profiles = {d.id: p for d in devices if (p := catalog.match(d)) is not None}
    info = RunInfo(
        schema=SCHEMA,
        run_id=provenance.new_run_id(),
        started_at=provenance.now(),
        command=command,
        suite=suite.name,
        suite_source=text,
        settings=msgspec.to_builtins(wishes),
        devices=devices,
        profiles=profiles,
        versions=provenance.versions(),
        host=provenance.host(),
        git=provenance.source_revision(),
        simulated=any(d.kind == "sim" for d in devices),
        plan=tuple(key for plan in plans if plan.process == 0 for key in plan.keys),
        processes=wishes.processes,
        kernel_sources=kernel_sources(_kernels(plans)),
    )
    return Job(info, plans, wishes.serial)


def resumed_job(run: Run, detected: tuple[Device, ...]) -> Job:
    """What an interrupted run has left to do, on the same devices. UsageError where they are not here."""
    info = run.info
    wishes = msgspec.convert(info.settings, Wishes)
    for device in info.devices:
        if device.kind != "sim" and (device.id, device.uuid, device.name) not in {
            (d.id, d.uuid, d.name) for d in detected
        }:
            what = f"it was measured on {device.id} '{device.name}', which is not here"
            raise UsageError(what, where=str(run.path), hint="resume it on the machine it was started on")
    suite = parse(info.suite_source, info.suite)
    with_ceilings = {c.device for c in run.ceilings}
    plans = tuple(
        plan.without(run.done(), ceilings_done=plan.device.id in with_ceilings)
        for plan in _plans(suite, info.devices, wishes, info.suite)
    )
    return Job(info, plans, wishes.serial)


def execute(job: Job, writer: RunWriter, observer: Observer) -> None:
    """Run every plan, devices side by side, and write each line as it comes.

    KeyboardInterrupt stops the workers and ends the file as interrupted before it goes on; an error ends it
    as failed. Nothing that was measured is lost either way.
    """
    team = _Team(job, writer, observer)
    try:
        team.run()
    except KeyboardInterrupt:
        team.stop()
        team.finish("interrupted")
        raise
    except QuantroofError as error:
        team.finish("failed", str(error))
        raise
    team.finish("complete")


def open_again(directory: Path, detected: tuple[Device, ...]) -> tuple[Job, RunWriter]:
    """Continue a run directory: what is left of it, and its file open for appending."""
    job = resumed_job(read_run(directory), detected)
    return job, RunWriter.reopen(directory)


def _kernels(plans: tuple[DevicePlan, ...]) -> list[Kernel]:
    found = {kernel.name: kernel for plan in plans for planned in plan.cases for kernel in planned.kernels}
    return list(found.values())


def _plans(suite: Suite, devices: tuple[Device, ...], wishes: Wishes, where: str) -> tuple[DevicePlan, ...]:
    """Every device's plan once a process: all devices in a first process, then all in a second, and so on."""
    concurrent = 1 if wishes.serial else len(devices)
    made = [replace(make_plan(suite, device, wishes, where), concurrent=concurrent) for device in devices]
    repeats = [plan.repeated(wishes.processes) for plan in made]
    return tuple(plan for round_of_plans in zip(*repeats, strict=True) for plan in round_of_plans)


class _Team:
    """One thread a lane; lines are written under a lock. A lane that fails does not end the others."""

    def __init__(self, job: Job, writer: RunWriter, observer: Observer) -> None:
        self._writer, self._observer = writer, observer
        self._lock = threading.Lock()
        self._closed = False
        self._errors: list[BaseException] = []
        self._lanes = [[self._run_of(plan) for plan in lane] for lane in job.lanes()]

    def run(self) -> None:
        threads = [threading.Thread(target=self._guarded, args=(lane,), daemon=True) for lane in self._lanes]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # in slices, so that Ctrl-C is heard
        if self._errors:
            raise self._errors[0]

    def stop(self) -> None:
        for run in chain.from_iterable(self._lanes):
            run.stop()

    def finish(self, outcome: Outcome, reason: str | None = None) -> None:
        with self._lock:
            self._closed = True
            self._writer.write(RunEnd(finished_at=provenance.now(), outcome=outcome, reason=reason))

    def _run_of(self, plan: DevicePlan) -> DeviceRun | SimulatedRun:
        kind = SimulatedRun if plan.device.kind == "sim" else DeviceRun
        return kind(plan, self._emit)

    def _guarded(self, lane: list[DeviceRun | SimulatedRun]) -> None:
        try:
            for run in lane:
                run.run()
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._errors.append(error)

    def _emit(self, line: Ceiling | Anchor | Measurement) -> None:
        with self._lock:
            if self._closed:
                raise Stopped
            self._writer.write(line)
            if not isinstance(line, Anchor):
                self._observer.line(line)
