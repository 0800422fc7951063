"""A simulated device: the roofline of its profile with noise, clock and throttle behavior, seeded.

Everything it makes has the status `simulated`. It serves tests of gate, report, advisor and fleet code, and
demonstrations; it is never a result. This file owns the noise model that simulations share.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from msgspec.structs import replace

from quantroof.bench.plan import REPEATED, DevicePlan, PlannedCase, skipped_line
from quantroof.bench.simulated.faults import CRASHED, InjectedFault
from quantroof.hwprofiles import catalog
from quantroof.hwprofiles.clock_events import ClockEvent
from quantroof.hwprofiles.roofline import attainable_seconds
from quantroof.hwprofiles.types import HardwareProfile
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel
from quantroof.records.lines import Anchor, AnchorName, Ceiling, DeviceState, Measurement, Moment, Timing

_SAMPLES = 24
_LAUNCH_NS = 2_000.0
_POWER_HUNGRY = 400.0  # operations a byte; matrix units then never wait for memory
_CAPPED_CLOCK = 0.8
_WARM_C, _HOT_C = 45.0, 68.0


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """Relative noise: of samples within a process, of processes, and the correlation of neighbors."""

    sample_sd: float = 0.004
    process_sd: float = 0.004
    autocorrelation: float = 0.3

    def samples_ns(self, true_ns: float, count: int, rng: np.random.Generator) -> tuple[float, ...]:
        """`count` log-normal AR(1) samples around a process's own center."""
        center = true_ns * math.exp(rng.normal(0.0, self.process_sd))
        shocks = rng.normal(0.0, self.sample_sd, count)
        keep, new = self.autocorrelation, math.sqrt(1 - self.autocorrelation**2)
        walk = np.empty(count)
        walk[0] = shocks[0]
        for i in range(1, count):
            walk[i] = keep * walk[i - 1] + new * shocks[i]
        return tuple(float(v) for v in center * np.exp(walk))


@dataclass(frozen=True, slots=True)
class Efficiency:
    """Shares of the datasheet that the simulated kernels reach; plausible, not measured on anything."""

    memory: float = 0.90
    compute: float = 0.78
    dequantizing: float = 0.62
    """Of the compute roof, for weight-only kernels: they spend issue slots on unpacking."""


class SimulatedRun:
    """Runs a plan without a device; the records have the same fields and the status `simulated`."""

    def __init__(
        self,
        plan: DevicePlan,
        emit: Callable[[Ceiling | Anchor | Measurement], None],
        noise: NoiseModel | None = None,
        efficiency: Efficiency | None = None,
    ) -> None:
        self._plan, self._emit = plan, emit
        self._noise, self._efficiency = noise or NoiseModel(), efficiency or Efficiency()
        self._profile = simulated_profile(plan.device.profile_id or "")
        self._fault = InjectedFault(plan.device.injected_fault, plan.settings.seed)
        self._stopping = threading.Event()

    def run(self) -> None:
        """Emit ceilings, anchors and measurements."""
        self._fault.start()
        if self._plan.ceilings and not self._fault.crashes("ceilings"):
            for ceiling in self._ceilings():
                self._emit(ceiling)
        self._anchors("start")
        for index, planned in enumerate(self._plan.cases):
            if index == len(self._plan.cases) // 2:
                self._fault = self._fault.later()
            self._case(planned)
            if self._stopping.is_set():
                return
        self._anchors("end")
        self._ceilings_at_end()

    def _case(self, planned: PlannedCase) -> None:
        for line in planned.skipped:
            self._emit(line)
        for kernel in planned.kernels:
            if self._stopping.is_set():
                return
            self._emit(self._measurement(planned.case, kernel))

    def _ceilings_at_end(self) -> None:
        if not self._plan.ceilings_at_end or self._fault.crashes("ceilings"):
            return
        for ceiling in self._bandwidths("end"):
            if ceiling.name in REPEATED:
                self._emit(ceiling)

    def stop(self) -> None:
        """End the run from another thread."""
        self._stopping.set()

    def _anchors(self, moment: Moment) -> None:
        if not self._plan.anchors:
            return
        peak = self._profile.peak("bf16") or self._profile.peaks[0]
        flops, bytes_moved = 2 * 8192**3, 1 << 31
        seconds = flops / (peak.flops_per_s * 0.8)
        self._emit(self._anchor("gemm", moment, seconds, flops=flops))
        seconds = bytes_moved / (self._profile.bandwidth_bytes_per_s * 0.89)
        self._emit(self._anchor("copy", moment, seconds, bytes_moved=bytes_moved))

    def _anchor(
        self,
        name: AnchorName,
        moment: Moment,
        seconds: float,
        *,
        flops: int | None = None,
        bytes_moved: int | None = None,
    ) -> Anchor:
        return Anchor(
            device=self._plan.device.id,
            name=name,
            moment=moment,
            process=self._plan.process,
            status="simulated",
            flops=flops,
            bytes_moved=bytes_moved,
            timing=self._timing(seconds * 1e9, f"anchor/{name}/{moment}"),
        )

    def _bandwidths(self, moment: Moment = "start") -> list[Ceiling]:
        bandwidth = self._profile.bandwidth_bytes_per_s * self._fault.memory
        lines = []
        for name, share in (("read", 0.94), ("write", 0.91), ("copy", 0.89)):
            bytes_moved = 1 << 32
            seed = f"bandwidth/{name}" if moment == "start" else f"bandwidth/{name}/{moment}"
            timing = self._timing(bytes_moved / (bandwidth * share) * 1e9, seed)
            lines.append(
                replace(self._ceiling("bandwidth", name, timing, bytes_moved=bytes_moved), moment=moment)
            )
        return lines

    def _ceilings(self) -> list[Ceiling]:
        lines = self._bandwidths()
        for peak in self._profile.peaks:
            if self._profile.peak(peak.element) is not peak:
                continue
            flops = 2 * 8192**3
            rate = peak.flops_per_s * 0.8 * self._fault.compute
            timing = self._timing(flops / rate * 1e9, f"matrix/{peak.element}")
            lines.append(self._ceiling("matrix", peak.element, timing, flops=flops))
        return lines

    def _ceiling(
        self,
        quantity: str,
        name: str,
        timing: Timing,
        *,
        flops: int | None = None,
        bytes_moved: int | None = None,
    ) -> Ceiling:
        return Ceiling(
            device=self._plan.device.id,
            quantity="bandwidth" if quantity == "bandwidth" else "matrix",
            name=name,
            kernel="simulated",
            status="simulated",
            bytes_moved=bytes_moved,
            flops=flops,
            timing=timing,
        )

    def _measurement(self, case: Case, kernel: Kernel) -> Measurement:
        element = kernel.computes or case.compute.name
        true_ns = self._true_ns(case, element)
        if true_ns is None:
            reason = f"the profile {self._profile.id} has no {element} peak to simulate with"
            return skipped_line(case, self._plan.device, kernel.name, kernel.provider, reason)
        name = f"{case.id}/{kernel.name}"
        if self._fault.crashes(name):
            lost = skipped_line(case, self._plan.device, kernel.name, kernel.provider, CRASHED)
            return replace(lost, status="failed", process=self._plan.process)
        return Measurement(
            device=self._plan.device.id,
            case=case.id,
            kernel=kernel.name,
            provider=kernel.provider,
            computes=kernel.computes,
            status="simulated",
            flops=case.flops,
            bytes_moved=case.bytes_moved,
            timing=self._timing(true_ns * self._fault.slowdown(name), name),
            state=self._fault.state(self._state(case), name),
            config=self._fault.config(name),
            process=self._plan.process,
        )

    def _true_ns(self, case: Case, element: str) -> float | None:
        peak = self._profile.peak(element)
        if peak is None:
            return None
        share = self._efficiency
        whole = case.weight.element is case.compute and element == case.compute.name
        compute = share.compute if whole else share.dequantizing
        rate = peak.flops_per_s * compute * self._fault.compute
        bandwidth = self._profile.bandwidth_bytes_per_s * share.memory * self._fault.memory
        seconds = attainable_seconds(case.flops, case.bytes_moved, rate, bandwidth)
        return seconds * 1e9 + _LAUNCH_NS

    def _timing(self, true_ns: float, name: str) -> Timing:
        rng = np.random.default_rng(self._seed(name))
        return Timing(
            samples_ns=self._noise.samples_ns(true_ns, _SAMPLES, rng),
            calls_per_sample=max(1, int(1e6 / true_ns)),
            cache=self._plan.settings.cache,
            method="simulated",
            stopped_by="precision",
            copies=0,
            rotated_bytes=0,
            mode=self._plan.settings.mode,
        )

    def _state(self, case: Case) -> DeviceState:
        """Compute-bound work meets the power cap: the clock falls and the reason bit is set."""
        boost = self._profile.boost_mhz
        hot = case.flops / case.bytes_moved > _POWER_HUNGRY
        clock = None if boost is None else boost * (_CAPPED_CLOCK if hot else 1.0)
        return DeviceState(
            sm_clock_mhz=clock,
            sm_clock_source=None if clock is None else "device",
            temperature_c=_HOT_C if hot else _WARM_C,
            reasons=int(ClockEvent.SOFTWARE_POWER_CAP) if hot else 0,
        )

    def _seed(self, name: str) -> int:
        device = self._plan.device
        who = device.id if device.host is None else f"{device.host}/{device.id}"
        text = f"{self._plan.settings.seed}/{who}/{self._plan.process}/{name}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def simulated_profile(profile_id: str) -> HardwareProfile:
    """The profile to simulate; UsageError with the known ones for an unknown id."""
    return catalog.profile(profile_id)
