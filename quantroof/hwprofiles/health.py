"""Findings about the condition of a GPU that would spoil a measurement on it."""

from __future__ import annotations

from collections.abc import Iterator

from quantroof.finding import Finding
from quantroof.hwprofiles.clock_events import faults
from quantroof.hwprofiles.nvml import BoardHealth
from quantroof.hwprofiles.types import Device

_IDLE_BYTES = 1 << 30  # the driver and a display keep some hundred MB
_HOT_C = 60  # a GPU at rest is cooler than this


def health_findings(device: Device, health: BoardHealth) -> Iterator[Finding]:
    """What would spoil a measurement, and what is only worth knowing."""
    yield from _busy(health)
    if reasons := faults(health.reasons):
        text = f"the clock is reduced now: {', '.join(reasons)}"
        yield Finding("warning", "slowdown", text, "check cooling and power supply")
    if health.uncorrected_ecc_errors:
        text = f"{health.uncorrected_ecc_errors} uncorrected memory errors since the driver was loaded"
        yield Finding("warning", "ecc_errors", text, "nvidia-smi -q -d ECC; drain the node")
    if health.rows_failed or health.rows_pending:
        state = "a row remapping failed" if health.rows_failed else "a row remapping is pending until a reset"
        hint = "replace the board" if health.rows_failed else "reset the GPU"
        yield Finding("warning", "row_remapping", state, hint)
    if health.persistence is False:
        hint = f"sudo nvidia-smi -i {device.nvml_index} -pm 1"
        text = "persistence mode is off: the first call includes the start of the driver"
        yield Finding("note", "persistence", text, hint)
    if not health.energy_counter:
        text = "no energy counter: power and energy will not be reported"
        yield Finding("note", "energy", text)


def _busy(health: BoardHealth) -> Iterator[Finding]:
    """Foreign processes, memory in use without a visible process, heat of a recent load."""
    used = health.memory_used_bytes or 0
    if health.process_ids:
        who = ", ".join(str(pid) for pid in health.process_ids[:5])
        text = f"{len(health.process_ids)} compute processes are running (pid {who})"
        yield Finding("warning", "busy", text, "measure on a GPU that nothing else uses")
    elif used > _IDLE_BYTES:
        text = f"{used / 1e9:.1f} GB of GPU memory are in use by processes this container cannot see"
        yield Finding("warning", "busy", text, "look for them on the host")
    elif health.process_ids is not None:
        yield Finding("ok", "idle", f"idle: no compute process{_at_rest(health)}")
    if health.temperature_c is not None and health.temperature_c > _HOT_C and not health.process_ids:
        text = f"{health.temperature_c} C without a load: still cooling down, or badly cooled"
        yield Finding("note", "warm", text)


def _at_rest(health: BoardHealth) -> str:
    parts = []
    if health.temperature_c is not None:
        parts.append(f"{health.temperature_c} C")
    if health.power_w is not None:
        parts.append(f"{health.power_w:.0f} W")
    if health.sm_clock_mhz is not None:
        parts.append(f"SM clock {health.sm_clock_mhz} MHz")
    return f", {', '.join(parts)}" if parts else ""
