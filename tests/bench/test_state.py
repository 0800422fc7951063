"""The state of a device over a case, from hand-made stamps, readings and counters."""

from __future__ import annotations

import itertools
from typing import Any

import pynvml
import pytest

from quantroof.bench.state.flags import state_flags
from quantroof.bench.state.gpu import summarize
from quantroof.bench.state.monitor import CpuMonitor
from quantroof.bench.timing.sampling import settle
from quantroof.hwprofiles.nvml import Board, Counters, Reading
from quantroof.records.lines import DeviceState


def _reading(sm_mhz: float | None = 1980.0, reasons: int | None = 0) -> Reading:
    return Reading(at_ns=1, sm_mhz=sm_mhz, memory_mhz=2619.0, temperature_c=54.0, reasons=reasons)


def test_the_devices_own_clock_is_preferred_to_nvml() -> None:
    """NVML lags: it says 1980 MHz while the device held 1425."""
    state = summarize([1420.0, 1425.0, 1430.0], [_reading()], None, None, 0.2)

    assert (state.sm_clock_mhz, state.sm_clock_source) == (1425.0, "device")
    assert state.held_mhz == (1420.0, 1425.0, 1430.0)


def test_nvml_serves_where_the_device_could_not_be_stamped() -> None:
    """The source says so."""
    state = summarize([], [_reading(1965.0), _reading(1980.0), _reading(1980.0)], None, None, 0.2)

    assert (state.sm_clock_mhz, state.sm_clock_source) == (1980.0, "nvml")


def test_nothing_reported_is_none_everywhere() -> None:
    """A machine without NVML and without Triton has an empty state, and no flag."""
    state = summarize([], [], None, None, 5.0)

    assert state == DeviceState()
    assert state_flags(state, "burst") == ()


def test_reasons_are_bits_ored_over_the_case() -> None:
    """Power cap in one reading and thermal slowdown in another are both kept."""
    state = summarize(
        [], [_reading(reasons=0x4), _reading(reasons=None), _reading(reasons=0x20)], None, None, 1.0
    )

    assert state.reasons == 0x24


@pytest.mark.parametrize(("elapsed_s", "power_w"), [(0.5, None), (2.0, 650.0)])
def test_power_comes_from_a_second_of_energy_or_not_at_all(elapsed_s: float, power_w: float | None) -> None:
    """Half a second of a counter that steps every 100 ms is noise."""
    before = Counters(energy_mj=1_000_000, ecc_errors=2, processes=1)
    after = Counters(energy_mj=2_300_000, ecc_errors=2, processes=1)
    state = summarize([], [], before, after, elapsed_s)

    assert state.power_w == power_w
    assert state.energy_j == (None if power_w is None else 1300.0)


def test_memory_errors_and_foreign_processes_are_flagged() -> None:
    """What came during the case counts, and one of the processes is ours."""
    before = Counters(energy_mj=None, ecc_errors=2, processes=1)
    after = Counters(energy_mj=None, ecc_errors=5, processes=3)
    state = summarize([], [], before, after, 1.0)

    assert (state.ecc_errors, state.foreign_processes) == (3, 2)
    assert {flag.code for flag in state_flags(state, "burst")} == {"ecc_errors", "foreign_process"}


@pytest.mark.parametrize(
    ("held", "mode", "codes"),
    [
        ((1980.0, 1975.0, 1980.0), "burst", []),
        ((1980.0, 1900.0, 1980.0), "burst", ["clock_moved"]),
        ((1410.0, 1485.0) * 6, "sustained", []),  # dither under the power cap, as an H200 shows it
        (tuple(1980.0 - 40 * i for i in range(12)), "sustained", ["clock_trend"]),
    ],
)
def test_burst_wants_one_clock_and_sustained_no_trend(
    held: tuple[float, ...], mode: str, codes: list[str]
) -> None:
    """2 % of movement is flagged in burst; in sustained dither is not, a trend is."""
    flags = state_flags(DeviceState(held_mhz=held), "burst" if mode == "burst" else "sustained")

    assert [flag.code for flag in flags] == codes


def test_foreign_load_is_flagged_with_its_cores() -> None:
    """A busy neighbor turns a CPU figure into noise."""
    (flag,) = state_flags(DeviceState(other_load_cores=0.9), "burst")

    assert flag.code == "foreign_load"
    assert "0.9 cores" in flag.text


def test_cpu_load_of_others_is_what_is_left_of_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """In 2 s all cores were busy for 2.5 s, of which 1.5 s were ours: half a core is foreign."""
    readings = iter([(0.0, 5.0, 100.0), (2.0, 6.5, 102.5)])
    monkeypatch.setattr(CpuMonitor, "_counters", lambda _: next(readings))

    assert CpuMonitor().stop().other_load_cores == 0.5  # it starts when it is made


@pytest.mark.alone
def test_cpu_monitor_does_not_count_our_own_work() -> None:
    """Half a second of our own burning is not foreign load."""
    monitor = CpuMonitor()
    monitor.start()
    sum(i * i for i in range(3_000_000))
    ours = monitor.stop().other_load_cores

    assert ours is not None
    assert ours < 1.9  # on two cores a neighbor may really be busy; our own core must not be added to it


class FakeLibrary:
    """An NVML that refuses, answers with sentinels, and lacks what old drivers lack."""

    NVML_CLOCK_SM, NVML_CLOCK_MEM, NVML_TEMPERATURE_GPU = 1, 2, 0
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED, NVML_VOLATILE_ECC = 1, 0
    nvmlEventTypeXidCriticalError = 8  # noqa: N815 - NVML's name

    def __getattr__(self, name: str) -> Any:
        """Whatever is not below is not supported."""

        def refuse(*_: object) -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

        return refuse

    def nvmlDeviceGetClockInfo(self, _handle: object, kind: int) -> int:  # noqa: N802 - NVML's name
        """The SM clock is not permitted; the memory clock is a sentinel."""
        if kind == self.NVML_CLOCK_SM:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NO_PERMISSION)
        return 0xFFFFFFFF

    def nvmlDeviceGetTemperature(self, _handle: object, _sensor: int) -> int:  # noqa: N802
        """Works."""
        return 41


def test_nvml_refusals_and_sentinels_are_not_reported() -> None:
    """Each becomes None, and what works is kept."""
    board = Board(FakeLibrary(), object())
    reading, counters = board.reading(), board.counters()

    assert (reading.sm_mhz, reading.memory_mhz, reading.reasons) == (None, None, None)
    assert reading.temperature_c == 41
    assert counters == Counters(energy_mj=None, ecc_errors=None, processes=None)


class FakeEvents(FakeLibrary):
    """An NVML whose driver reports two critical errors, then nothing."""

    def __init__(self) -> None:
        self.waiting = [79, 48]

    def nvmlEventSetCreate(self) -> str:  # noqa: N802
        """A set of events."""
        return "set"

    def nvmlDeviceRegisterEvents(self, _handle: object, _kind: int, _set: str) -> None:  # noqa: N802
        """Accepted."""

    def nvmlEventSetWait_v2(self, _set: str, _timeout_ms: int) -> Any:  # noqa: N802
        """The next code, or a time-out."""
        if not self.waiting:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_TIMEOUT)
        return type("Event", (), {"eventData": self.waiting.pop(0)})


def test_xids_are_read_once_and_flagged() -> None:
    """A GPU that fell off the bus (79) is named with its code; the next case starts clean."""
    board = Board(FakeEvents(), object())
    codes = board.xids()

    assert (codes, board.xids()) == ((79, 48), ())
    (flag,) = state_flags(DeviceState(xid=codes), "burst")
    assert "XID 79, 48" in flag.text


def test_settling_runs_the_case_until_the_time_is_up() -> None:
    """The timer is run, and its samples are nobody's."""
    runs = []

    class Timer:
        method = "cpu-blocks"
        calls_per_sample = 1
        batch_s = 0.5

        def samples(self) -> list[float]:
            """Counted."""
            runs.append(1)
            return [1.0]

        def finish(self) -> None:
            """Nothing."""

    clock = itertools.count(0.0, 0.5)
    settle(Timer(), 2.0, clock_s=lambda: next(clock))  # type: ignore[arg-type]

    assert len(runs) == 3
