"""Time any function from Python, by the contract of every other measurement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quantroof import units
from quantroof.analysis.statistics import Interval, median_interval
from quantroof.files import require
from quantroof.records.lines import DeviceState, Flag
from quantroof.records.run import RunOptions

if TYPE_CHECKING:
    from quantroof.bench.measure import Bench
    from quantroof.hwprofiles.types import Device


@dataclass(frozen=True, slots=True)
class Timed:
    """The time of a function, in seconds. `flags` are warnings such as a clock that moved, in words."""

    device: str
    median_s: float
    low_s: float
    high_s: float
    """`low_s` to `high_s` is the 95 % interval of the median."""
    samples_s: tuple[float, ...]
    flops: float | None
    bytes: float | None
    flags: tuple[str, ...]
    state: DeviceState

    @property
    def flops_per_s(self) -> float | None:
        """Operations per second, None without `flops`."""
        return None if self.flops is None else self.flops / self.median_s

    @property
    def bytes_per_s(self) -> float | None:
        """Bytes per second, None without `bytes`."""
        return None if self.bytes is None else self.bytes / self.median_s

    def __str__(self) -> str:
        spread = (self.high_s - self.low_s) / 2 / self.median_s
        parts = [f"{units.time(self.median_s * 1e9)} ± {units.percent(spread, 1)}"]
        if self.flops_per_s is not None:
            parts.append(units.si(self.flops_per_s, "FLOP/s"))
        if self.bytes_per_s is not None:
            parts.append(units.si(self.bytes_per_s, "B/s"))
        return ", ".join([*parts, *(f"warning: {flag}" for flag in self.flags)])


def measure(
    function: Callable[..., Any],
    *tensors: Any,
    flops: float | None = None,
    bytes: float | None = None,  # noqa: A002 - the word of every table and option
    seconds: float = 1.0,
    cold: bool = True,
) -> Timed:
    """Time `function(*tensors)` on the device of its tensors, in this process.

    The tensors are cloned past three times the last-level cache and used in turn, so that the function meets
    them cold; with `cold=False` one set stays in the cache. On a GPU the call is captured in a CUDA graph.
    Sampling ends when the 95 % interval of the median is narrow enough, or after `seconds`. The result of the
    function is not checked: `quantroof bench` does that, against a reference.
    """
    device = _device_of(tensors)
    require("torch", "measure", "cpu")
    from quantroof.bench.measure import time_prepared
    from quantroof.kernels.kernel import Prepared

    bench = _bench(device, cold=cold, seconds=seconds)
    timing, state, flags = time_prepared(bench, Prepared(tensors, function, hot=()))
    return _timed(
        bench.device.name, median_interval(timing.samples_ns), timing.samples_ns, flags, state, flops, bytes
    )


def _timed(
    device: str,
    interval: Interval,
    samples_ns: tuple[float, ...],
    flags: tuple[Flag, ...],
    state: DeviceState,
    flops: float | None,
    moved: float | None,
) -> Timed:
    return Timed(
        device=device,
        median_s=interval.median / 1e9,
        low_s=interval.low / 1e9,
        high_s=interval.high / 1e9,
        samples_s=tuple(ns / 1e9 for ns in samples_ns),
        flops=flops,
        bytes=moved,
        flags=tuple(flag.text for flag in flags),
        state=state,
    )


def _device_of(tensors: tuple[Any, ...]) -> Device:
    """The device that holds the tensors."""
    from quantroof.errors import UsageError
    from quantroof.hwprofiles.detect import detect
    from quantroof.hwprofiles.select import select

    places = {str(tensor.device) for tensor in tensors if hasattr(tensor, "device")}
    if len(places) != 1:
        what = f"the tensors are on {len(places)} devices: {', '.join(sorted(places)) or 'none'}"
        raise UsageError(what, where="measure", hint="pass tensors of one device")
    return select(detect(), (places.pop(),))[0]


def _bench(device: Device, *, cold: bool, seconds: float) -> Bench:
    """The sampler of a device in this process."""
    from quantroof.bench.local import local_bench
    from quantroof.bench.settings import Settings
    from quantroof.bench.suite import StoppingLimits

    options = RunOptions(cache="cold" if cold else "hot", seconds_per_case=seconds)
    return local_bench(device, Settings.resolve(StoppingLimits(), options))
