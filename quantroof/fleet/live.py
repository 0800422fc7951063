"""The health of GPUs by NVML before, during and after a load; other devices have no findings."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType

from quantroof.finding import Finding, Level
from quantroof.hwprofiles.health import health_findings
from quantroof.hwprofiles.nvml import Board, BoardHealth
from quantroof.hwprofiles.types import Device, PcieLink

_EVERY_S = 2.0
_LEVELS: dict[str, Level] = {
    "ecc_errors": "failed", "row_remapping": "failed", "slowdown": "degraded", "busy": "unknown",
}  # fmt: skip


def state_findings(device: Device, health: BoardHealth) -> Iterator[Finding]:
    """The current state as findings."""
    for check in health_findings(device, health):
        if check.level == "warning":
            level = _LEVELS[check.code]
            if check.code == "row_remapping" and not health.rows_failed:
                level = "degraded"  # a reset repairs it
            yield Finding(level, check.code, check.text)


@dataclass(slots=True)
class HealthMonitor:
    """Findings of each device by its id. As a context manager it monitors links until it exits.

    A link at rest runs at a low generation, so only the generation that it reaches under load counts.
    """

    devices: tuple[Device, ...]
    findings: dict[str, list[Finding]] = field(default_factory=dict)
    _best: dict[str, PcieLink] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def look(self, *, loaded: bool = False) -> None:
        """Read the state of every device. After a load (`loaded`) `busy` is ignored: our own processes may
        still run."""
        for device in self.devices:
            board = Board.of(device)
            for finding in state_findings(device, board.health()) if board else ():
                if not (loaded and finding.code == "busy"):
                    self.add(device, finding)

    def add(self, device: Device, finding: Finding) -> None:
        """Keep the first finding of each code."""
        findings = self.findings.setdefault(device.id, [])
        if finding.code not in {f.code for f in findings}:
            findings.append(finding)

    def busy(self) -> tuple[Device, ...]:
        """Devices in use by others."""
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
    """A link that did not reach its generation under load. Lanes are judged at detection."""
    if best is None or best.generation is None or best.max_generation is None:
        return
    if best.generation < best.max_generation:
        text = f"PCIe at generation {best.generation} under load, the link can {best.max_generation}"
        yield Finding("degraded", "pcie_generation", text)
