"""Runs one device's plan in a worker process, and replaces the process when a case kills it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from msgspec.structs import replace

from quantroof.bench.plan import DevicePlan, PlannedCase, foreign_functions, skipped_line
from quantroof.bench.workers import protocol
from quantroof.bench.workers.compiler import CompilerPool
from quantroof.bench.workers.handle import NO_LOG, ContextLost, Worker, WorkerLost
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel
from quantroof.kernels.registry import load
from quantroof.records.lines import Anchor, Ceiling, GroupKey, Measurement, Moment

Emit = Callable[[Ceiling | Anchor | Measurement], None]

Deaths = dict[str, list[str]]
"""Why workers were lost, by the kernel that brought them down."""
_MOST_DEATHS = 2
_LOG_BYTES = 1 << 20
_CEILING_TIMEOUT_S = 120.0
_ANCHOR_TIMEOUT_S = 60.0


class Stopped(Exception):
    """The run was interrupted while a case was being measured."""


class DeviceRun:
    """Runs a plan and hands every record to `emit` at once; tracebacks go to `log`.

    `deaths` is shared by the runs of one device: a kernel that brought two workers down is not tried again.
    """

    def __init__(
        self, plan: DevicePlan, emit: Emit, log: Path = NO_LOG, deaths: Deaths | None = None
    ) -> None:
        self._plan, self._emit, self._log = plan, emit, log
        self._deaths: Deaths = {} if deaths is None else deaths
        self._workers: dict[bool, Worker] = {}
        self._foreign = load(plan.settings.kernels).foreign | foreign_functions(plan.settings.calls)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Measure the ceilings, then every case between the anchors; other processes compile kernels ahead.

        Raises Stopped when another thread calls `stop`.
        """
        compilers = CompilerPool(self._plan)
        try:
            if self._plan.ceilings:
                self._ceilings()
            self._anchors("start")
            for planned in self._plan.cases:
                for line in planned.skipped:
                    self._emit(line)
                self._case(planned)
            self._anchors("end")
            self._ceilings_at_end()
        finally:
            compilers.stop()
            try:
                self._drop_worker()
            finally:
                if self._log != NO_LOG:  # never remove the system's own device, whatever stands there
                    _tidy_log(self._log)

    def stop(self) -> None:
        """End the run from another thread; what is being measured is lost."""
        self._stopping.set()
        for worker in list(self._workers.values()):
            worker.kill()

    def _ceilings(self) -> None:
        """Every group of ceilings that is not done; one that brings the worker down costs itself only."""
        tried = list(self._plan.ceilings_done)
        while not self._ceilings_but(tried):
            pass

    def _ceilings_but(self, tried: list[GroupKey]) -> bool:
        """Measure the groups not yet tried and add them there; False where one ended the worker."""
        device = self._plan.device.id
        request = protocol.MeasureCeilings(quick=self._plan.settings.quick_ceilings, done=tuple(tried))
        guilty: GroupKey | None = None
        try:
            for reply in self._ready().ask(request, _CEILING_TIMEOUT_S):
                if isinstance(reply, protocol.GroupStarted):
                    guilty = reply.group
                    tried.append(guilty)
                    continue
                assert isinstance(reply, protocol.CeilingReply)
                self._emit(replace(reply.ceiling, device=device))
        except ContextLost:
            self._drop_worker()  # the ceiling that failed has its own record already
        except WorkerLost as error:
            self._drop_worker()
            quantity, name, kernel = guilty or ("bandwidth", "any", "any")
            self._emit(
                Ceiling(
                    device=device,
                    quantity=quantity,
                    name=name,
                    kernel=kernel,
                    status="failed",
                    reason=str(error),
                )
            )
        else:
            return True
        return guilty is None

    def _ceilings_at_end(self) -> None:
        """Read and copy once more; a worker that is lost here costs nothing that was measured."""
        if not self._plan.ceilings_at_end:
            return
        request = protocol.MeasureCeilings(quick=True, moment="end")
        try:
            for reply in self._ready().ask(request, _CEILING_TIMEOUT_S):
                if isinstance(reply, protocol.CeilingReply):
                    self._emit(replace(reply.ceiling, device=self._plan.device.id, moment="end"))
        except WorkerLost:
            self._drop_worker()

    def _anchors(self, moment: Moment) -> None:
        """Time the anchors where the plan has them; a gate needs their records for a verdict."""
        if not self._plan.anchors:
            return
        try:
            for reply in self._ready().ask(protocol.MeasureAnchors(moment=moment), _ANCHOR_TIMEOUT_S):
                assert isinstance(reply, protocol.AnchorReply)
                self._emit(replace(reply.anchor, device=self._plan.device.id, process=self._plan.process))
        except WorkerLost:
            self._drop_worker()

    def _case(self, planned: PlannedCase) -> None:
        """Measure a case's kernels; one that brings the worker down costs itself only."""
        for foreign in (False, True):
            self._kernels(
                planned, [k for k in planned.kernels if (k.name in self._foreign) is foreign], foreign
            )

    def _kernels(self, planned: PlannedCase, kernels: list[Kernel], foreign: bool) -> None:
        waiting = [kernel for kernel in kernels if not self._given_up(planned.case, kernel)]
        guilty = ""
        while waiting:
            names = tuple(kernel.name for kernel in waiting)
            request = protocol.MeasureCase(case=planned.case.id, kernels=names)
            try:
                for reply in self._ready(foreign=foreign).ask(request, self._plan.settings.case_timeout_s):
                    assert isinstance(reply, protocol.MeasurementReply)
                    line = reply.measurement
                    _require(
                        bool(waiting) and (line.case, line.kernel) == (planned.case.id, waiting[0].name),
                        "the worker answered for another kernel",
                    )
                    guilty = waiting.pop(0).name
                    self._emit(self._placed(line))
                _require(not waiting, "the worker gave no record of it")
            except ContextLost as error:  # the kernel that failed has its own record already
                self._drop_worker(foreign)
                self._deaths.setdefault(guilty, []).append(str(error))
            except WorkerLost as error:
                self._drop_worker(foreign)
                if waiting:
                    guilty = waiting[0].name
                    self._emit(self._failed(planned.case, waiting.pop(0), str(error)))
                self._deaths.setdefault(guilty, []).append(str(error))

    def _given_up(self, case: Case, kernel: Kernel) -> bool:
        """Whether a kernel is not tried again, with a line that gives the reason."""
        deaths = self._deaths.get(kernel.name, [])
        if len(deaths) < _MOST_DEATHS:
            return False
        self._emit(self._failed(case, kernel, f"brought the worker down twice (first: {deaths[0]})"))
        return True

    def _failed(self, case: Case, kernel: Kernel, reason: str) -> Measurement:
        line = skipped_line(case, self._plan.device, kernel.name, kernel.provider, reason)
        return self._placed(replace(line, status="failed"))

    def _placed(self, line: Measurement) -> Measurement:
        """The record with the device and process in the run, which the worker cannot fill in."""
        plan = self._plan
        return replace(line, device=plan.device.id, process=plan.process, concurrent=plan.concurrent)

    def _drop_worker(self, *which: bool) -> None:
        """Kill a worker, both without a choice; raise Stopped if the run was stopped."""
        for foreign in which or (False, True):
            if (worker := self._workers.pop(foreign, None)) is not None:
                worker.kill()
        if self._stopping.is_set():
            raise Stopped

    def _ready(self, *, foreign: bool = False) -> Worker:
        """The worker of our kernels, or that of kernels from outside: what these change stays there."""
        if self._stopping.is_set():
            raise Stopped
        if foreign not in self._workers:
            self._workers[foreign] = Worker(self._plan.device, self._plan.settings, self._log)
        return self._workers[foreign]


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise WorkerLost(otherwise)


def _tidy_log(log: Path) -> None:
    """Leave no log behind that has nothing in it, and of a kernel that prints without end the last part."""
    if not log.is_file():
        return
    size = log.stat().st_size
    if size == 0:
        log.unlink()
    elif size > _LOG_BYTES:
        with log.open("r+b") as file:
            file.seek(size - _LOG_BYTES)
            end = file.read()
            file.seek(0)
            file.write(end)
            file.truncate()
