"""What NVML says of GPUs before, during and after a load; a device that is no GPU says nothing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType

from quantroof.fleet.preflight import Finding, Grade
from quantroof.hwprofiles.clock_events import faults
from quantroof.hwprofiles.health import judge
from quantroof.hwprofiles.nvml import Board, BoardHealth
from quantroof.hwprofiles.types import Device, PcieLink

_EVERY_S = 2.0
_GRADES: dict[str, Grade] = {
    "ecc_errors": "failed", "row_remapping": "failed", "slowdown": "defective", "busy": "not judged",
}  # fmt: skip


def state_findings(device: Device, health: BoardHealth) -> Iterator[Finding]:
    """The state of this moment as findings."""
    for check in judge(device, health, faults(health.reasons)):
        if check.level == "warn":
            grade = _GRADES[check.code]
            if check.code == "row_remapping" and not health.rows_failed:
                grade = "defective"  # it waits for a reset, and is whole after it
            yield Finding(grade, check.code, check.text)


@dataclass(slots=True)
class HealthMonitor:
    """Findings of each device by its id. As a context manager it watches links until it is left.

    A link at rest runs at a low generation; only what it reaches under load speaks for or against it.
    """

    devices: tuple[Device, ...]
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    _best: dict[str, PcieLink] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def look(self, *, loaded: bool = False) -> None:
        """Read every state. After a load (`loaded`) our own processes may still be there: nobody is busy."""
        for device in self.devices:
            board = Board.of(device)
            for finding in state_findings(device, board.health()) if board else ():
                if not (loaded and finding.code == "busy"):
                    self.add(device, finding)

    def add(self, device: Device, finding: Finding) -> None:
        """Keep a finding; one of each kind is enough."""
        seen = self.findings.setdefault(device.id, [])
        if finding.code not in {f.code for f in seen}:
            seen.append(finding)

    def busy(self) -> tuple[Device, ...]:
        """Devices that somebody else uses."""
        return tuple(d for d in self.devices if any(f.code == "busy" for f in self.findings.get(d.id, ())))

    def __enter__(self) -> HealthMonitor:
        self._thread = threading.Thread(target=self._monitor, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        for device in self.devices:
            self.findings.setdefault(device.id, []).extend(slow_link(self._best.get(device.id)))

    def _monitor(self) -> None:
        boards = [(device, board) for device in self.devices if (board := Board.of(device)) is not None]
        while not self._stop.is_set():
            for device, board in boards:
                link, best = board.link(), self._best.get(device.id)
                if link is not None and (best is None or (link.generation or 0) > (best.generation or 0)):
                    self._best[device.id] = link
            self._stop.wait(_EVERY_S)


def slow_link(best: PcieLink | None) -> Iterator[Finding]:
    """A link that did not reach its generation under load. Lanes are judged by what detection saw."""
    if best is None or best.generation is None or best.max_generation is None:
        return
    if best.generation < best.max_generation:
        text = f"PCIe at generation {best.generation} under load, the link can {best.max_generation}"
        yield Finding("defective", "pcie_generation", text)
