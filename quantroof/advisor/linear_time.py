"""The time of a linear layer: measured on this node if possible, else from the roofline."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import msgspec

from quantroof.advisor.estimate import Estimate, Source, total
from quantroof.advisor.interpolation import KernelTime, Shape
from quantroof.advisor.kernel_costs import Cost, Operation, cost, reduce_cost
from quantroof.advisor.layer_times import AttentionKey, ExpertsKey
from quantroof.advisor.layers import Linear
from quantroof.advisor.machine import Machine, Rate
from quantroof.advisor.models import Heads, Mla
from quantroof.advisor.node_costs import OWN, fitted_cost
from quantroof.advisor.own_experts import SHORT_KERNELS, between_bytes, products_time
from quantroof.advisor.timings import TimingTable
from quantroof.kernels.attention.case import Attention
from quantroof.kernels.cases import AttentionCase, Case
from quantroof.kernels.schemes import SCHEMES, Scheme


class Assumptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the model assumes where nothing was measured; an option overrides each.

    Efficiencies are shares of a roof; None takes those of `kernel_costs`. With both stated the model is a
    plain roofline without fixed costs. `launch_s` a kernel is 0 under CUDA graphs.
    """

    memory_efficiency: float | None = None
    compute_efficiency: float | None = None
    launch_s: float = 0.0
    kernels_per_layer: int = 10

    @property
    def plain_roofline(self) -> bool:
        """Whether both efficiencies are stated, so that no kernel cost applies."""
        return self.memory_efficiency is not None and self.compute_efficiency is not None


# aiconfigurator 0.12.0 takes 0.8 of the bandwidth for elementwise kernels on every GPU.
STREAM_EFFICIENCY = 0.8
# What ceilings reach of a datasheet: the medians of hwprofiles/published_ceilings.csv.
REACHED_MEMORY, REACHED_COMPUTE = 0.87, 0.8
# A CPU without own points: aiconfigurator's share of the bandwidth, llm-analysis' of the matrix rate.
_CPU_MEMORY, _CPU_COMPUTE = 0.8, 0.7


PLAIN = "roofline"


@dataclass(frozen=True, slots=True)
class Work:
    """What a kernel does: operations in an element type, bytes of memory, and the rows of its product."""

    flops: float
    bytes_moved: float
    element: str
    rows: float = 1.0


@lru_cache(maxsize=1 << 14)
def linear_work(layer: Linear, scheme: Scheme, tokens: int, ways: int) -> tuple[str, Shape, Work]:
    """The name of a layer's format, its shape on one of `ways` GPUs, and its work: the same on every GPU."""
    own = layer.kept(scheme)
    n, k = layer.shard(ways, own.weight.group)
    case = Case.linear(own, tokens, n, k)
    name = case.scheme if own.name in SCHEMES else own.name
    return name, (n, k), Work(case.flops, case.bytes_moved, case.compute.name, tokens)


@lru_cache(maxsize=1 << 12)
def _experts_work(
    up: Linear, down: Linear, scheme: Scheme, tokens: int, ways: int
) -> tuple[ExpertsKey, Work]:
    """The sizes of a layer of routed experts on one of `ways` GPUs, and the work of both products."""
    moe = up.moe
    assert moe is not None
    each, hit = tokens * moe.per_token, moe.expected_hit(tokens)
    moved = flops = 0.0
    for layer in (up, down):
        own = layer.kept(scheme)
        n, k = layer.shard(ways, own.weight.group)
        moved += hit * own.weight.storage_bytes(n, k)
        moved += each * (k * scheme.activation.traffic_element.bits + n * scheme.output.element.bits) / 8
        flops += 2.0 * each * n * k
    key = ExpertsKey(str(scheme.weight), up.k, moe.intermediate, moe.per_token, moe.experts, ways)
    return key, Work(flops, moved, scheme.compute.name, each / moe.experts)


@dataclass(frozen=True)
class Timer:
    """Kernel times on one machine, measured or modeled. `step` adds the error band of modeled times."""

    machine: Machine
    table: TimingTable
    assumptions: Assumptions
    _costs: dict[tuple[str, str], Cost] = field(default_factory=dict)

    def layer(self, layer: Linear, scheme: Scheme, tokens: int, ways: int) -> tuple[Estimate, float | None]:
        """One layer of this kind on one of `ways` GPUs for `tokens` rows; and its joules, if read."""
        name, shape, work = linear_work(layer, scheme, tokens, ways)
        time = self.table.predict(name, shape, tokens)
        if time is None:
            return self.modeled("linear", name, work), None
        floor = self.machine.roof_seconds(work.flops, work.bytes_moved, work.element)
        source = self._source(exact=time.exact)
        joules = None if time.power_w is None else time.power_w * time.seconds
        estimate = Estimate(seconds=time.seconds, low=time.low, high=time.high, floor=floor, source=source)
        return estimate, joules

    def _source(self, *, exact: bool) -> Source:
        if self.table.imported is not None:
            return "imported"
        return "measured" if exact else "interpolated"

    def _timed(self, time: KernelTime, floor: float | None) -> Estimate:
        """A time of the run, or one interpolated between its times."""
        return Estimate(
            seconds=time.seconds, low=time.low, high=time.high, floor=floor, source=self._source(exact=False)
        )

    def attention(self, heads: Heads, cache: str, batch: int, context: int, ways: int) -> Estimate | None:
        """One layer's decode attention as the run timed it, None where these heads were not timed."""
        if heads.value_dim != heads.head_dim:
            return None
        width = heads.head_dim
        own = Attention(-(-heads.heads // ways), max(heads.kv_heads // ways, 1), width, width)
        return self._attention(own, cache, batch, context)

    def latent_attention(self, heads: int, mla: Mla, cache: str, batch: int, context: int) -> Estimate | None:
        """The same with a latent cache; `heads` are those on one GPU."""
        own = Attention(heads, 1, mla.latent, mla.kv_rank, latent=True)
        return self._attention(own, cache, batch, context)

    def _attention(self, shape: Attention, cache: str, batch: int, context: int) -> Estimate | None:
        time = self.table.layers.attention_time(AttentionKey(cache, shape), batch, context)
        if time is None:
            return None
        case = AttentionCase.of(cache, shape, batch, context)
        return self._timed(time, case.bytes_moved / self.machine.bandwidth.value)

    def experts(self, up: Linear, down: Linear, scheme: Scheme, tokens: int, ways: int) -> Estimate:
        """The routed experts of one layer: both products, and the kernels that route and sort."""
        key, work = _experts_work(up, down, scheme, tokens, ways)
        time = self.table.layers.experts_time(key, tokens) if up.n == 2 * key.width else None
        if time is not None:
            return self._timed(time, None)
        own = products_time(self.table.products, up, down, scheme, tokens, ways)
        if own is not None:
            return self._products(own, between_bytes(up, down, scheme, tokens, ways), work)
        return self.modeled("experts", scheme.name, work)

    def _products(self, own: tuple[KernelTime, KernelTime], moved: float, work: Work) -> Estimate:
        """Both products as the run timed them, with the short kernels of the model around them."""
        floor = self.machine.roof_seconds(work.flops, work.bytes_moved, work.element)
        short = self.short_kernels(SHORT_KERNELS, moved)
        parts = [self._timed(time, None) for time in own]
        return msgspec.structs.replace(total([*parts, short]), floor=floor, source=parts[0].source)

    def modeled(self, operation: Operation, name: str, work: Work) -> Estimate:
        """A kernel's fixed time and efficiencies over its roof, by this node's points if it has enough."""
        rate = self.machine.rate(work.element)
        assert rate is not None, "formats without a known rate are refused before they are timed"
        by_memory = work.bytes_moved / self.machine.bandwidth.value
        by_compute = work.flops / rate.value
        floor = max(by_memory, by_compute)
        row = self.cost(operation, name)
        if row.engine not in (
            OWN,
            PLAIN,
        ):  # shares of a datasheet, where this node knows what it reaches of it
            by_memory *= _reached(self.machine.bandwidth, REACHED_MEMORY)
            by_compute *= _reached(rate, REACHED_COMPUTE)
        return _modeled(max(row.seconds(by_memory, by_compute, work.rows), floor), floor)

    def cost(self, operation: Operation, name: str) -> Cost:
        """The constants of a kernel: as stated, as this node's points show them, else as shipped."""
        if (operation, name) not in self._costs:
            self._costs[operation, name] = self._constants(operation, name)
        return self._costs[operation, name]

    def _constants(self, operation: Operation, name: str) -> Cost:
        stated = self.assumptions
        own = None if stated.plain_roofline or operation != "linear" else self._fit(name)
        shipped = own or self._shipped(operation, name)
        if stated.memory_efficiency is None and stated.compute_efficiency is None:
            return shipped
        return msgspec.structs.replace(
            shipped,
            memory=stated.memory_efficiency or shipped.memory,
            compute=stated.compute_efficiency or shipped.compute,
        )

    def short_kernels(self, count: int, bytes_moved: float) -> Estimate:
        """Sequential kernels dominated by their launch; together they move some bytes."""
        row = self._row("short", "")
        floor = bytes_moved / self.machine.bandwidth.value
        fixed = count * row.fixed_us * 1e-6 if row else 0.0
        seconds = fixed + floor / (self.assumptions.memory_efficiency or STREAM_EFFICIENCY)
        return _modeled(seconds, floor)

    def all_reduce(self, payload_bytes: float, ways: int) -> Estimate:
        """One all-reduce: by a link that was measured or stated, else by the cost fitted to its kind."""
        link = self.machine.link
        assert link is not None, "tensor parallelism without a link is refused before it is timed"
        wire = link.all_reduce_seconds(payload_bytes, ways) - link.latency_s
        time = self.table.layers.reduce_time(ways, payload_bytes)
        if time is not None:
            return self._timed(time, min(wire, time.seconds))
        row = reduce_cost(link.kind, ways) if link.from_catalog else None
        if row is None or self.assumptions.plain_roofline:
            return _modeled(link.latency_s + wire, wire)
        return _modeled(row.seconds(wire, 0.0, 1.0), wire)

    def _shipped(self, operation: Operation, name: str) -> Cost:
        if not self.assumptions.plain_roofline and not self.machine.is_gpu:
            return Cost(
                operation=operation,
                format=name,
                gpu=self.machine.id,
                engine=PLAIN,
                memory=_CPU_MEMORY,
                compute=_CPU_COMPUTE,
            )
        row = None if self.assumptions.plain_roofline else self._row(operation, name)
        return row or Cost(operation=operation, format=name, gpu=self.machine.id, engine=PLAIN)

    def _row(self, operation: Operation, name: str) -> Cost | None:
        if not self.machine.is_gpu:
            return None
        return cost(operation, name, self.machine.id, self.machine.capability)

    def _fit(self, name: str) -> Cost | None:
        """The constants that this node's own points of a format give, None where they are too few."""
        return fitted_cost(name, self.table.points.get(name, {}), self.machine)


def _reached(rate: Rate, share: float) -> float:
    """The ratio of a measured ceiling to the datasheet figure that the fitted shares refer to."""
    return share if rate.basis == "measured" else 1.0


def _modeled(seconds: float, floor: float) -> Estimate:
    return Estimate(seconds=seconds, low=seconds, high=seconds, floor=floor, source="modeled")
