"""Runs one device's plan in a worker process, and replaces the process when a case kills it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from msgspec.structs import replace

from quantroof.bench.plan import DevicePlan, PlannedCase, skipped_line
from quantroof.bench.workers import protocol
from quantroof.bench.workers.compiler import CompilerPool
from quantroof.bench.workers.handle import ContextLost, Worker, WorkerLost
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel
from quantroof.records.lines import Anchor, Ceiling, Measurement, Moment

Emit = Callable[[Ceiling | Anchor | Measurement], None]

_CEILING_TIMEOUT_S = 120.0
_ANCHOR_TIMEOUT_S = 60.0


class Stopped(Exception):
    """The run was interrupted while a case was being measured."""


class DeviceRun:
    """Runs a plan and hands every record to `emit` at once."""

    def __init__(self, plan: DevicePlan, emit: Emit) -> None:
        self._plan, self._emit = plan, emit
        self._worker: Worker | None = None
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
        finally:
            compilers.stop()
            self._drop_worker()

    def stop(self) -> None:
        """End the run from another thread; what is being measured is lost."""
        self._stopping.set()
        if self._worker is not None:
            self._worker.kill()

    def _ceilings(self) -> None:
        request = protocol.MeasureCeilings(quick=self._plan.settings.quick_ceilings)
        try:
            for reply in self._ready().ask(request, _CEILING_TIMEOUT_S):
                assert isinstance(reply, protocol.CeilingReply)
                self._emit(replace(reply.ceiling, device=self._plan.device.id))
        except ContextLost:
            self._drop_worker()  # the ceiling that failed has its own record already
        except WorkerLost as error:
            self._drop_worker()
            self._emit(
                Ceiling(
                    device=self._plan.device.id,
                    quantity="bandwidth",
                    name="any",
                    kernel="any",
                    status="failed",
                    reason=str(error),
                )
            )

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
        """Measure a case's kernels; one that kills the worker loses only its own measurement."""
        waiting = list(planned.kernels)
        while waiting:
            names = tuple(kernel.name for kernel in waiting)
            request = protocol.MeasureCase(case=planned.case.id, kernels=names)
            try:
                for reply in self._ready().ask(request, self._plan.settings.case_timeout_s):
                    assert isinstance(reply, protocol.MeasurementReply)
                    waiting.pop(0)
                    self._emit(self._placed(reply.measurement))
            except ContextLost:
                self._drop_worker()  # the kernel that failed has its own record already
            except WorkerLost as error:
                self._drop_worker()
                if waiting:
                    self._emit(self._failed(planned.case, waiting.pop(0), str(error)))

    def _failed(self, case: Case, kernel: Kernel, reason: str) -> Measurement:
        line = skipped_line(case, self._plan.device, kernel.name, kernel.provider, reason)
        return self._placed(replace(line, status="failed"))

    def _placed(self, line: Measurement) -> Measurement:
        """The record with its device and process in the run, which the worker does not know."""
        plan = self._plan
        return replace(line, device=plan.device.id, process=plan.process, concurrent=plan.concurrent)

    def _drop_worker(self) -> None:
        """Kill the worker; raise Stopped if the run was stopped."""
        if self._worker is not None:
            self._worker.kill()
            self._worker = None
        if self._stopping.is_set():
            raise Stopped

    def _ready(self) -> Worker:
        if self._stopping.is_set():
            raise Stopped
        if self._worker is None:
            self._worker = Worker(self._plan.device, self._plan.settings)
        return self._worker
