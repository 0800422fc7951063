"""Runs the queues of several devices at the same time, one thread each, and writes one run file."""

from __future__ import annotations

import threading
from itertools import chain
from typing import Protocol

from quantroof.bench import provenance
from quantroof.bench.plan import DevicePlan
from quantroof.bench.simulated.device import SimulatedRun
from quantroof.bench.workers.device_run import Deaths, DeviceRun, Stopped
from quantroof.records.directory import RunWriter
from quantroof.records.lines import Anchor, Bits, Ceiling, Measurement
from quantroof.records.run import RunEnd, RunOutcome

DeviceQueue = list[DevicePlan]
"""Plans that run one after another."""


class Observer(Protocol):
    """Receives every record that was written, for a progress display."""

    def line(self, line: Ceiling | Measurement) -> None:
        """A line was written."""


class Scheduler:
    """Runs device queues at the same time and writes their records under a lock.

    A queue that fails does not end the others.
    """

    def __init__(self, writer: RunWriter, observer: Observer) -> None:
        self._writer, self._observer = writer, observer
        self._lock = threading.Lock()
        self._closed = False
        self._errors: list[BaseException] = []
        self._deaths: dict[str, Deaths] = {}
        self._running: list[DeviceRun | SimulatedRun] = []

    def run(self, stage: list[DeviceQueue]) -> None:
        """Run every queue of a stage to its end, then raise the first error of any of them."""
        queues = [[self._run_of(plan) for plan in queue] for queue in stage]
        self._running = list(chain.from_iterable(queues))
        threads = [threading.Thread(target=self._guarded, args=(queue,), daemon=True) for queue in queues]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)  # in slices, so that Ctrl-C is handled
        if self._errors:
            raise self._errors[0]

    def stop(self) -> None:
        """End what is running; what is being measured is lost."""
        for run in self._running:
            run.stop()

    def finish(self, outcome: RunOutcome, reason: str | None = None) -> None:
        """Write the end of the run; lines that come later are dropped."""
        with self._lock:
            self._closed = True
            self._writer.write(RunEnd(finished_at=provenance.now(), outcome=outcome, reason=reason))

    def _run_of(self, plan: DevicePlan) -> DeviceRun | SimulatedRun:
        device = plan.device
        if device.kind == "sim":
            return SimulatedRun(plan, self.emit)
        log = self._writer.path.with_name(f"worker-{device.id.replace(':', '-')}.log")
        return DeviceRun(plan, self.emit, log, self._deaths.setdefault(device.id, {}))

    def _guarded(self, queue: list[DeviceRun | SimulatedRun]) -> None:
        try:
            for run in queue:
                run.run()
        except Stopped:
            return
        except BaseException as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self._errors.append(error)

    def emit(self, line: Ceiling | Anchor | Bits | Measurement) -> None:
        """Write a line and tell the observer. Raises Stopped once the run has ended."""
        with self._lock:
            if self._closed:
                raise Stopped
            self._writer.write(line)
            if not isinstance(line, Anchor | Bits):
                self._observer.line(line)
