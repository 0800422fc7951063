"""The state of a GPU at this moment, by NVML, and what in it would spoil a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import msgspec

from quantroof.hwprofiles import nvml
from quantroof.hwprofiles.checks import Check
from quantroof.hwprofiles.types import Device, PcieLink

_IDLE_BYTES = 1 << 30  # the driver and a display keep some hundred MB
_HOT_C = 60  # a GPU at rest is cooler than this
T = TypeVar("T")


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """One reading; None where NVML does not report. `reasons` are clock-event bits, memory is in bytes."""

    sm_clock_mhz: int | None = None
    temperature_c: int | None = None
    power_w: float | None = None
    reasons: int | None = None
    memory_used_bytes: int | None = None
    process_ids: tuple[int, ...] | None = None
    persistence: bool | None = None
    uncorrected_ecc_errors: int | None = None
    rows_pending: bool | None = None
    rows_failed: bool | None = None
    energy_counter: bool = False


def read_health(device: Device) -> Health | None:
    """The state of a GPU now, None for a device that is no GPU or that NVML cannot find."""
    return _asked(device, _read)


def read_link(device: Device) -> PcieLink | None:
    """The PCIe link of a GPU now, None likewise."""
    return _asked(device, nvml.pcie_link)


def _asked(device: Device, question: Callable[[Any, Any], T]) -> T | None:
    if device.kind != "cuda":
        return None
    try:
        with nvml.session() as library:
            uuid = device.mig_parent or device.uuid
            handle = nvml.ask(library.nvmlDeviceGetHandleByUUID, uuid) if uuid else None
            if handle is None and device.nvml_index is not None:
                handle = nvml.ask(library.nvmlDeviceGetHandleByIndex, device.nvml_index)
            return None if handle is None else question(library, handle)
    except nvml.NvmlUnavailable:
        return None


def _read(library: Any, handle: Any) -> Health:
    milliwatts = nvml.positive(library.nvmlDeviceGetPowerUsage, handle)
    memory = nvml.ask(library.nvmlDeviceGetMemoryInfo, handle)
    processes = nvml.ask(library.nvmlDeviceGetComputeRunningProcesses, handle)
    rows = nvml.ask(library.nvmlDeviceGetRemappedRows, handle)
    persistence = nvml.ask(library.nvmlDeviceGetPersistenceMode, handle)
    kind, since = library.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, library.NVML_VOLATILE_ECC
    return Health(
        sm_clock_mhz=nvml.positive(library.nvmlDeviceGetClockInfo, handle, library.NVML_CLOCK_SM),
        temperature_c=nvml.positive(library.nvmlDeviceGetTemperature, handle, library.NVML_TEMPERATURE_GPU),
        power_w=None if milliwatts is None else milliwatts / 1000,
        reasons=_reasons(library, handle),
        memory_used_bytes=int(memory.used) if memory else None,
        process_ids=None if processes is None else tuple(int(p.pid) for p in processes),
        persistence=None if persistence is None else bool(persistence),
        uncorrected_ecc_errors=nvml.number(library.nvmlDeviceGetTotalEccErrors, handle, kind, since),
        rows_pending=None if rows is None else bool(rows[2]),
        rows_failed=None if rows is None else bool(rows[3]),
        energy_counter=nvml.positive(library.nvmlDeviceGetTotalEnergyConsumption, handle) is not None,
    )


def _reasons(library: Any, handle: Any) -> int | None:
    """Clock-event reasons; drivers before R535 know them by their older name."""
    bits = nvml.number(library.nvmlDeviceGetCurrentClocksEventReasons, handle)
    return nvml.number(library.nvmlDeviceGetCurrentClocksThrottleReasons, handle) if bits is None else bits


def judge(device: Device, health: Health, faults: tuple[str, ...]) -> Iterator[Check]:
    """What this state means for a measurement; `faults` are clock-event reasons of hardware."""
    yield from _busy(health)
    if faults:
        text = f"the clock is held down now: {', '.join(faults)}"
        yield Check(level="warn", code="slowdown", text=text, hint="look at cooling and power supply")
    if health.uncorrected_ecc_errors:
        text = f"{health.uncorrected_ecc_errors} uncorrected memory errors since the driver was loaded"
        yield Check(level="warn", code="ecc_errors", text=text, hint="nvidia-smi -q -d ECC; drain the node")
    if health.rows_failed or health.rows_pending:
        state = "a row remapping failed" if health.rows_failed else "a row remapping waits for a reset"
        hint = "replace the board" if health.rows_failed else "reset the GPU"
        yield Check(level="warn", code="row_remapping", text=state, hint=hint)
    if health.persistence is False:
        hint = f"sudo nvidia-smi -i {device.nvml_index} -pm 1"
        text = "persistence mode is off: the first call pays for starting the driver"
        yield Check(level="note", code="persistence", text=text, hint=hint)
    if not health.energy_counter:
        text = "no energy counter: power and energy will not be reported"
        yield Check(level="note", code="energy", text=text)


def _busy(health: Health) -> Iterator[Check]:
    """Foreign processes, memory in use without any (another container's), heat of a recent load."""
    used = health.memory_used_bytes or 0
    if health.process_ids:
        who = ", ".join(str(pid) for pid in health.process_ids[:5])
        text = f"{len(health.process_ids)} compute processes are running (pid {who})"
        yield Check(level="warn", code="busy", text=text, hint="figures need a GPU of their own")
    elif used > _IDLE_BYTES:
        text = f"{used / 1e9:.1f} GB of its memory are in use by nobody seen from here"
        yield Check(level="warn", code="busy", text=text, hint="another container, or a process that died")
    elif health.process_ids is not None:
        yield Check(level="ok", code="idle", text=f"idle: no compute process{_at_rest(health)}")
    if health.temperature_c is not None and health.temperature_c > _HOT_C and not health.process_ids:
        text = f"{health.temperature_c} C without a load: still cooling down, or cooled badly"
        yield Check(level="note", code="warm", text=text)


def _at_rest(health: Health) -> str:
    parts = []
    if health.temperature_c is not None:
        parts.append(f"{health.temperature_c} C")
    if health.power_w is not None:
        parts.append(f"{health.power_w:.0f} W")
    if health.sm_clock_mhz is not None:
        parts.append(f"SM clock {health.sm_clock_mhz} MHz")
    return f", {', '.join(parts)}" if parts else ""
