"""Flags of a measurement that follow from the device's state, with the number and the remedy."""

from __future__ import annotations

from statistics import median

from quantroof.analysis.trust import FOREIGN_CORES
from quantroof.records.lines import DeviceState, Flag
from quantroof.records.run import Mode

CLOCK_MOVED = 0.02
_TREND_SAMPLES = 6


def state_flags(state: DeviceState, mode: Mode) -> tuple[Flag, ...]:
    """Every flag of a state under a mode."""
    flags = (
        _clock(state.held_mhz, mode),
        _ecc(state),
        _xid(state),
        _foreign_processes(state),
        _foreign_load(state),
        _throttled(state),
    )
    return tuple(flag for flag in flags if flag is not None)


def _clock(held_mhz: tuple[float, ...], mode: Mode) -> Flag | None:
    """Burst needs a constant clock; sustained tolerates dither under the power cap, but not a trend."""
    if mode == "burst":
        return _moved(held_mhz)
    return _trend(held_mhz)


def _moved(held_mhz: tuple[float, ...]) -> Flag | None:
    if len(held_mhz) < 2:
        return None
    low, high = min(held_mhz), max(held_mhz)
    if (high - low) / median(held_mhz) <= CLOCK_MOVED:
        return None
    text = f"the SM clock moved from {high:.0f} to {low:.0f} MHz: lock it, or measure --mode sustained"
    return Flag(code="clock_moved", text=text)


def _trend(held_mhz: tuple[float, ...]) -> Flag | None:
    """The medians of the first and the last third: dither leaves them alone, a trend does not."""
    if len(held_mhz) < _TREND_SAMPLES:
        return None
    third = len(held_mhz) // 3
    first, last = median(held_mhz[:third]), median(held_mhz[-third:])
    if abs(last - first) / first <= CLOCK_MOVED:
        return None
    text = f"the SM clock drifted from {first:.0f} to {last:.0f} MHz: it had not settled; give it longer"
    return Flag(code="clock_trend", text=text)


def _ecc(state: DeviceState) -> Flag | None:
    if not state.ecc_errors:
        return None
    text = f"{state.ecc_errors:.0f} uncorrectable ECC errors occurred during the measurement: drain this GPU"
    return Flag(code="ecc_errors", text=text)


def _xid(state: DeviceState) -> Flag | None:
    if not state.xid:
        return None
    codes = ", ".join(map(str, state.xid))
    text = f"the driver reported XID {codes} during the measurement: look it up before using this GPU"
    return Flag(code="xid", text=text)


def _foreign_processes(state: DeviceState) -> Flag | None:
    if not state.foreign_processes:
        return None
    text = f"{state.foreign_processes} other processes were on the GPU: measure again on an idle one"
    return Flag(code="foreign_process", text=text)


def _foreign_load(state: DeviceState) -> Flag | None:
    cores = state.other_load_cores
    if cores is None or cores <= FOREIGN_CORES:
        return None
    text = f"other processes kept {cores:.1f} cores busy: measure again on an idle host"
    return Flag(code="foreign_load", text=text)


def _throttled(state: DeviceState) -> Flag | None:
    if not state.throttled_periods:
        return None
    text = f"a CPU quota stopped the threads in {state.throttled_periods} periods: measure without a quota"
    return Flag(code="cpu_throttled", text=text)
