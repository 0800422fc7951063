"""The flat table of a fleet: one row per case, kernel, device and process of a run.

Ceilings are rows as well: for a fleet, a bandwidth or a matrix rate is a case like any other. Every row holds
its device as JSON: Parquet compresses it to almost nothing, and no field is lost between versions.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from quantroof.analysis.case_time import median_ns
from quantroof.analysis.trust import is_disturbed
from quantroof.hwprofiles.clock_events import faults
from quantroof.records.directory import Run
from quantroof.records.lines import Ceiling, DeviceState, Measurement, Status

SCHEMA = "quantroof-part/1"
_QUANTITIES = ("bandwidth", "matrix", "instruction")
"""Ceilings that are comparable between siblings. Caches and links are not: they depend on the sizes
measured."""
ANY = "any"
"""The element of a case that only moves bytes."""
AT_END = " at the end"
"""How the work of a ceiling ends that was measured again after all cases: it shows whether the GPU faded."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `work` names case and kernel; `median_ns` is None if nothing was timed."""

    schema: str = SCHEMA
    run_id: str
    started_at: str
    node: str
    suite: str
    mode: str
    cache: str
    simulated: bool
    device_id: str
    device: str
    work: str
    element: str
    flops: int
    bytes_moved: int
    process: int
    status: Status
    median_ns: float | None
    faulty_clock: bool
    """A clock-event reason was set that never occurs on a healthy node."""
    ecc_errors: int
    xid: bool
    foreign: bool
    """Another process used the GPU during the measurement."""


def rows(run: Run) -> Iterator[Row]:
    """Every row of a run, in the order of its lines."""
    info = run.info
    devices = {d.id: msgspec.json.encode(d).decode() for d in info.devices}
    head = {
        "run_id": info.run_id,
        "started_at": info.started_at,
        "node": info.host.name or "unnamed",
        "suite": info.suite,
        "mode": info.options.mode,
        "cache": info.options.cache,
        "simulated": info.simulated,
    }
    lines: list[Ceiling | Measurement] = [*run.ceilings, *run.measurements]
    for line in lines:
        what = _ceiling(line) if isinstance(line, Ceiling) else _measurement(line)
        if what is not None and line.device in devices:
            whose = {"device_id": line.device, "device": devices[line.device]}
            yield msgspec.convert({**head, **whose, **what}, Row)


def _measurement(line: Measurement) -> dict[str, object]:
    element = line.element
    work = f"{line.case} {line.kernel}"
    return _common(line) | {
        "work": work, "element": element, "flops": line.flops, "bytes_moved": line.bytes_moved,
        "process": line.process, "foreign": is_disturbed(line),
    }  # fmt: skip


def _ceiling(line: Ceiling) -> dict[str, object] | None:
    if line.quantity not in _QUANTITIES or line.amount is None:
        return None
    moves = line.quantity == "bandwidth"
    again = AT_END if line.moment == "end" else ""
    rate = line.name if line.quantity == "matrix" else f"{line.quantity}/{line.name}"
    return _common(line) | {
        "work": f"{line.quantity}/{line.name}/{line.amount} {line.kernel}{again}",
        "element": ANY if moves else rate,
        "flops": 0 if moves else line.amount, "bytes_moved": line.amount if moves else 0, "process": 0,
    }  # fmt: skip


def _common(line: Ceiling | Measurement) -> dict[str, object]:
    state = line.state or DeviceState()
    return {
        "status": line.status,
        "median_ns": None if line.timing is None else median_ns(line.timing),
        "faulty_clock": bool(faults(state.reasons)),
        "ecc_errors": int(state.ecc_errors or 0),
        "xid": bool(state.xid),
        "foreign": bool(state.foreign_processes),
    }
