"""Time of one kind of linear layer: this node's own measurement if there is one, else the roof."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

import msgspec

from quantroof.advisor.choices import named
from quantroof.advisor.estimate import Estimate, Source
from quantroof.advisor.layers import Linear
from quantroof.advisor.machine import Machine
from quantroof.advisor.timings import TimingTable
from quantroof.hwprofiles.roofline import Bound
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import SCHEMES, Scheme


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the model assumes where nothing was measured; an option overrides each.

    The efficiencies are shares of a roof. aiconfigurator 0.12.0 takes 0.8 of the bandwidth for every GPU; 0.7
    of the matrix rate is llm-analysis' suggestion. `launch_s` a kernel is 0 under CUDA graphs.
    """

    memory_efficiency: float = 0.8
    compute_efficiency: float = 0.7
    launch_s: float = 0.0
    kernels_per_layer: int = 10


# aiconfigurator's measured kernels against its own roofline at batch 1: 1.4-1.5 times in bf16, 2.2 in fp8.
# An estimate at 0.8 of the bandwidth already is 1.25 times the roofline; these are the rest.
WIDE_BAND, NARROW_BAND = 0.2, 0.76


@dataclass(frozen=True)
class Timer:
    """Answers how long linear layers take on one machine."""

    machine: Machine
    table: TimingTable
    assumptions: Assumptions
    _efficiencies: dict[tuple[str, Bound], float | None] = field(default_factory=dict)

    def layer(self, layer: Linear, scheme: Scheme, tokens: int, ways: int) -> tuple[Estimate, float | None]:
        """One layer of this kind on one of `ways` GPUs for `tokens` rows; and its joules, if read."""
        own = layer.kept(scheme)
        n, k = layer.shard(ways, own.weight.group)
        if layer.moe is not None:
            return self._experts(layer, own, (n, k), tokens), None
        case = Case.linear(own, tokens, n, k)
        floor = self.machine.roof_seconds(case.flops, case.bytes_moved, case.compute.name)
        name = case.scheme if own.name in SCHEMES else own.name
        time = self.table.predict(name, (n, k), tokens)
        if time is None:
            return self.modeled(name, case.flops, case.bytes_moved, case.compute.name), None
        source: Source = "measured" if time.exact else "interpolated"
        joules = None if time.power_w is None else time.power_w * time.seconds
        estimate = Estimate(seconds=time.seconds, low=time.low, high=time.high, floor=floor, source=source)
        return estimate, joules

    def modeled(self, scheme: str, flops: float, bytes_moved: float, element: str) -> Estimate:
        """max(flops / (e F), bytes / (e BW)), with the efficiencies of this node's points if it has any."""
        rate = self.machine.rate(element)
        assert rate is not None, "formats without a known rate are refused before they are timed"
        bandwidth = self.machine.bandwidth.value
        by_memory = bytes_moved / bandwidth / self.efficiency(scheme, "memory")
        by_compute = flops / rate.value / self.efficiency(scheme, "compute")
        seconds = max(by_memory, by_compute)
        floor = max(bytes_moved / bandwidth, flops / rate.value)
        high = seconds * (1 + self._band(scheme))
        return Estimate(seconds=seconds, low=min(floor, seconds), high=high, floor=floor, source="modeled")

    def efficiency(self, scheme: str, bound: Bound) -> float:
        """Median share of the roof that this node's points of a format reach, else the stated assumption."""
        if (scheme, bound) not in self._efficiencies:
            self._efficiencies[scheme, bound] = self._measured_efficiency(scheme, bound)
        assumption = (
            self.assumptions.memory_efficiency if bound == "memory" else self.assumptions.compute_efficiency
        )
        return self._efficiencies[scheme, bound] or assumption

    def _measured_efficiency(self, scheme: str, bound: Bound) -> float | None:
        shares = []
        for (n, k), points in self.table.points.get(scheme, {}).items():
            for timed in points:
                case = Case.linear(named(scheme), timed.m, n, k)
                if self.machine.bound(case) == bound:
                    roof = self.machine.roof_seconds(case.flops, case.bytes_moved, case.compute.name)
                    assert roof is not None
                    shares.append(roof / timed.seconds)
        return median(shares) if shares else None

    def _band(self, scheme: str) -> float:
        if scheme in self.table.points:
            return self.table.band(scheme)
        wide = scheme in ("fp32", "tf32", "fp16", "bf16")
        return WIDE_BAND if wide else NARROW_BAND

    def _experts(self, layer: Linear, scheme: Scheme, shape: tuple[int, int], tokens: int) -> Estimate:
        """All routed experts of a layer as one grouped product: nothing measures that here, so by roof."""
        assert layer.moe is not None
        n, k = shape
        rows = tokens * layer.moe.per_token
        hit = layer.moe.expected_hit(tokens)
        weights = hit * scheme.weight.storage_bytes(n, k)
        moved = scheme.activation.storage_bytes(rows, k) + scheme.output.storage_bytes(rows, n)
        return self.modeled(scheme.name, 2.0 * rows * n * k, weights + moved, scheme.compute.name)
