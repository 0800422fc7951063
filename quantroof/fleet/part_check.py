"""Check only the links or the exact products of a node: measure, repeat slow links, then judge."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from quantroof.analysis.links import LinkTable
from quantroof.analysis.verdicts import STATES, Verdict, gravest, state_of
from quantroof.bench.links.bus import LinkPlan
from quantroof.bench.provenance import host_name
from quantroof.bench.run import Job, new_job
from quantroof.finding import Finding
from quantroof.fleet.beside import confirmed_unit, node_links, units_beside
from quantroof.fleet.burn_in import BurnInOptions, BurnInResult, Measure
from quantroof.fleet.collection import Unit
from quantroof.fleet.grades import gravest_first
from quantroof.fleet.live import HealthMonitor
from quantroof.fleet.node import GpuReport, NodeReport, missing_gpus, node_reason
from quantroof.hwprofiles.types import Device
from quantroof.records.directory import Run, read_run


@dataclass(slots=True)
class PartCheck:
    """The checks to run on idle devices: `links`, and exact products for `bits_s` seconds."""

    options: BurnInOptions
    links: LinkPlan | None = None
    bits_s: float | None = None
    _runs: list[Run] = field(default_factory=list)

    def run(self, measure: Measure) -> BurnInResult:
        """Measure and judge."""
        options = self.options
        monitor = HealthMonitor(options.devices)
        monitor.look()
        busy = monitor.busy()
        free = tuple(device for device in options.devices if device not in busy)
        units: list[Unit] = []
        if free:
            with monitor:
                units = self._measured(free, measure)
            monitor.look(loaded=True)
        table = node_links(self._runs)
        beside = {unit.device.id: unit.beside or self._untested(unit, table) for unit in units}
        gpus = [_gpu(d, [*beside.get(d.id, ()), *monitor.findings.get(d.id, ())]) for d in options.devices]
        gpus.sort(key=lambda gpu: STATES.index(gpu.state))
        lost = missing_gpus(options.devices, options.expected)
        state = "failed" if lost else gravest(gpu.state for gpu in gpus)
        simulated = any(device.kind == "sim" for device in options.devices)
        verdict = Verdict(state, lost or node_reason(gpus))
        bits = tuple(line for run in self._runs for line in run.bits)
        node = NodeReport(
            host_name(self.options.devices), verdict, tuple(gpus), (), (), simulated, table, bits
        )
        return BurnInResult(node, tuple(run.path.parent for run in self._runs))

    def _measured(self, free: tuple[Device, ...], measure: Measure) -> list[Unit]:
        """The results of a run, with a second run of the links if the first has a slow one."""
        units = self._units(free, measure, 0)
        if any(finding.level == "degraded" for unit in units for finding in unit.beside):
            again = self._units(free, measure, 1)
            units = [confirmed_unit(*both) for both in zip(units, again, strict=True)]
        return units

    def _units(self, free: tuple[Device, ...], measure: Measure, seed: int) -> list[Unit]:
        """One run that measures these parts and nothing else; what it shows per device."""
        run_options = replace(self.options.run_options, seed=seed, again=seed > 0)
        planned = new_job(run_options, free, self.options.command)
        bits_s = None if seed else self.bits_s
        job = Job(replace(planned.info, plan=()), (), links=self.links, bits_s=bits_s)
        name = "links" if self.links else "bits"
        directory: Path = self.options.folder / f"{job.info.run_id}-{name}{'-again' if seed else ''}"
        measure(job, directory)
        run = read_run(directory)
        self._runs.append(run)
        return units_beside(run)

    def _untested(self, unit: Unit, table: LinkTable | None) -> tuple[Finding, ...]:
        """A device without measurements is `unknown`, not ok."""
        copied = {device for device, _ in (*table.host, *table.pairs)} if table else set()
        computed = {line.device for run in self._runs for line in run.bits}
        if unit.device.id in copied | computed:
            return ()
        return (Finding("unknown", "unmeasured", "no link of it was measured"),)


def _gpu(device: Device, reasons: list[Finding]) -> GpuReport:
    state = gravest([state_of(reason.level) for reason in reasons] or ["ok"])
    return GpuReport(device, state, gravest_first(reasons), {})
