"""The links of a node alone: measured, slow ones a second time, then a verdict."""

from __future__ import annotations

import platform
from pathlib import Path

from msgspec.structs import replace

from quantroof.analysis.links import LinkTable, link_table
from quantroof.analysis.verdicts import STATES, Verdict, gravest, state_of
from quantroof.bench.links.bus import FULL
from quantroof.bench.run import Job, new_job
from quantroof.finding import Finding
from quantroof.fleet.burn_in import BurnInOptions, BurnInResult, Measure
from quantroof.fleet.collection import Unit, population_of
from quantroof.fleet.grades import gravest_first
from quantroof.fleet.live import HealthMonitor
from quantroof.fleet.node import GpuReport, NodeReport, missing_gpus, node_reason
from quantroof.fleet.node_links import add_links, confirmed_unit
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run, read_run


def check_links(options: BurnInOptions, measure: Measure) -> BurnInResult:
    """Measure and judge the links of the devices that nobody else uses."""
    monitor = HealthMonitor(options.devices)
    monitor.look()
    busy = monitor.busy()
    free = tuple(device for device in options.devices if device not in busy)
    runs: list[Run] = []
    units: list[Unit] = []
    if free:
        with monitor:
            runs, units = _measured(options, free, measure)
        monitor.look(loaded=True)
    table = link_table(free, runs[-1].ceilings) if runs else None
    links = {unit.device.id: unit.links or _unmeasured(unit, table) for unit in units}
    gpus = [_gpu(d, [*monitor.findings.get(d.id, ()), *links.get(d.id, ())]) for d in options.devices]
    gpus.sort(key=lambda gpu: STATES.index(gpu.state))
    lost = missing_gpus(options.devices, options.expected)
    state = "failed" if lost else gravest(gpu.state for gpu in gpus)
    simulated = any(device.kind == "sim" for device in options.devices)
    verdict = Verdict(state, lost or node_reason(gpus))
    node = NodeReport(platform.node(), verdict, tuple(gpus), (), (), simulated, table)
    return BurnInResult(node, tuple(run.path.parent for run in runs))


def _measured(
    options: BurnInOptions, free: tuple[Device, ...], measure: Measure
) -> tuple[list[Run], list[Unit]]:
    """The runs, and what their links show; a second run where the first has a slow link."""
    runs = [_run(options, free, measure, 0)]
    units = _units(runs[0])
    if any(finding.level == "degraded" for unit in units for finding in unit.links):
        runs.append(_run(options, free, measure, 1))
        units = [confirmed_unit(*both) for both in zip(units, _units(runs[1]), strict=True)]
    return runs, units


def _run(options: BurnInOptions, free: tuple[Device, ...], measure: Measure, seed: int) -> Run:
    """One run that measures links and nothing else."""
    planned = new_job(replace(options.run_options, seed=seed), free, options.command)
    job = Job(replace(planned.info, plan=()), (), links=FULL)
    directory: Path = options.folder / f"{job.info.run_id}-links{'-again' if seed else ''}"
    measure(job, directory)
    return read_run(directory)


def _units(run: Run) -> list[Unit]:
    info = run.info
    units = [
        Unit(info.run_id, info.started_at, info.host.name or "", device, population_of(
            device, info.suite, info.options.mode, info.options.cache, simulated=info.simulated))
        for device in info.devices
    ]  # fmt: skip
    add_links(run, units)
    return units


def _unmeasured(unit: Unit, table: LinkTable | None) -> tuple[Finding, ...]:
    """A device without a copy of any kind is not called ok."""
    copied = {device for device, _ in (*table.host, *table.pairs)} if table else set()
    if unit.device.id in copied:
        return ()
    return (Finding("unknown", "unmeasured", "no link of it was measured"),)


def _gpu(device: Device, reasons: list[Finding]) -> GpuReport:
    state = gravest([state_of(reason.level) for reason in reasons] or ["ok"])
    return GpuReport(device, state, gravest_first(reasons), {})
