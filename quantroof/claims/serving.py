"""Claims about serving a model: memory, roofline times, crossovers and prices, judged by the advisor."""

from __future__ import annotations

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.cost import EXAMPLES, HOURS_PER_MONTH, read_prices
from quantroof.advisor.crossover import ridge_batch
from quantroof.advisor.layers import linear_layers, total_parameters
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.machine import Machine, from_profile
from quantroof.advisor.memory import MemoryFit, Reserve, kv_bytes, memory_fit, weight_bytes
from quantroof.advisor.model_lookup import catalog, model
from quantroof.advisor.step import decode_step
from quantroof.advisor.timings import TimingTable
from quantroof.claims.claim import (
    TOLERANCE,
    Claim,
    ClaimResult,
    Count,
    Evidence,
    NumberClaim,
    is_near,
)
from quantroof.errors import UsageError
from quantroof.hwprofiles import catalog as hardware
from quantroof.kernels.formats import element

_CACHE = kv_format("fp16")
# At the roof: what the hardware allows, so that a claim is not judged by an assumed efficiency.
_ROOF = Assumptions(memory_efficiency=1.0, compute_efficiency=1.0)
_WIDE = 8192


class BareGb(NumberClaim, frozen=True, kw_only=True, tag="bare-gb"):
    """`parameters` of `element`, and nothing else, are `value` GB."""

    parameters: float
    element: str

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By bits of the element."""
        size, text = _bare(self.parameters, self.element)
        return self.near(size / 1e9, text)


class BareMs(NumberClaim, frozen=True, kw_only=True, tag="bare-ms"):
    """`parameters` of `element` cross the memory bus of `profile` in `value` ms."""

    parameters: float
    element: str
    profile: str

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By bits of the element and the datasheet's bandwidth."""
        size, text = _bare(self.parameters, self.element)
        bandwidth = _machine(self.profile).bandwidth.value
        ms = size / bandwidth * 1e3
        return self.near(ms, f"{text}; at {bandwidth / 1e9:g} GB/s {ms:.4g} ms")


class WeightsGb(NumberClaim, frozen=True, kw_only=True, tag="weights-gb"):
    """All weights of `model` in `format` are `value` GB."""

    model: str
    format: str

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the shapes of all layers, scales included."""
        subject = model(self.model)
        size = weight_bytes(subject, choice(self.format)) / 1e9
        what = f"{self.format} with scales and a 16-bit head"
        text = f"{subject.id}, {total_parameters(subject):,} parameters, {what}: {size:.1f} GB"
        return self.near(size, text)


class Deployment(Claim, frozen=True, kw_only=True):
    """A claim about `model` in `format` on `gpus` boards of `profile` at a `context`."""

    model: str
    format: str
    profile: str
    gpus: Count = 1
    context: Count = 2048

    def memory(self) -> MemoryFit:
        """The memory of one GPU, by the advisor's reserve."""
        scheme, memory_bytes = choice(self.format), _machine(self.profile).memory_bytes
        return memory_fit(model(self.model), scheme, _CACHE, self.context, memory_bytes, self.gpus, Reserve())


class WeightsFit(Deployment, frozen=True, kw_only=True, tag="weights-fit"):
    """The weights alone fit in the memory, or do not, as `states` says."""

    states: bool

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the weights of one GPU against its whole memory."""
        weights, memory_bytes = self.memory().weights, _machine(self.profile).memory_bytes
        text = f"{weights / 1e9:.1f} GB per GPU in {memory_bytes / 1e9:g} GB"
        return self.decided((weights < memory_bytes) == self.states, text)


class Serves(Deployment, frozen=True, kw_only=True, tag="serves"):
    """Sequences of `context` tokens fit and reach `tokens_per_s` at the roof, or not, as `states` says."""

    states: bool
    tokens_per_s: float | None = None

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the memory that is left for the cache."""
        memory = self.memory()
        text = (
            f"{self.format} on {self.gpus} x {self.profile}: {memory.weights / 1e9:.1f} GB of weights per GPU"
            f", {memory.left_for_kv / 1e9:+.1f} GB left of {memory.usable / 1e9:.0f} usable,"
            f" {memory.sequences} sequences of {self.context}"
        )
        serves = memory.sequences > 0
        if serves and self.tokens_per_s is not None:
            rate = 1e3 * memory.sequences / _floor_ms(self, self.format, self.gpus, memory.sequences)
            text += f"; they reach {rate:.0f} tokens/s at most, {self.tokens_per_s:g} are needed"
            serves = rate >= self.tokens_per_s
        return self.decided(serves == self.states, text)


class KvRoom(Deployment, frozen=True, kw_only=True, tag="kv-room-gb"):
    """`value` GB are left for the cache on all GPUs together."""

    value: float
    tolerance: float = TOLERANCE

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the memory that is left for the cache."""
        memory = self.memory()
        room = self.gpus * memory.left_for_kv / 1e9
        text = f"{self.format} on {self.gpus} x {self.profile} leaves {room:.1f} GB after weights and reserve"
        evidence = f"{text}, {memory.sequences} sequences of {self.context}"
        return self.decided(is_near(self.value, room, self.tolerance), evidence)


class KvOverWeights(Claim, frozen=True, kw_only=True, tag="kv-over-weights"):
    """The cache of `batch` sequences exceeds `value` times the weights, or does not, as `states` says."""

    model: str
    format: str
    value: float
    states: bool
    batch: Count = 1
    context: Count = 2048

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By bytes of cache and weights."""
        subject = model(self.model)
        cache = self.batch * kv_bytes(subject, _CACHE, self.context)
        weights = weight_bytes(subject, choice(self.format))
        text = (
            f"batch {self.batch}, context {self.context}: {cache / 1e9:.1f} GB of cache,"
            f" {cache / weights:.2f} x {weights / 1e9:.1f} GB of weights"
        )
        return self.decided((cache / weights > self.value) == self.states, text)


def _infeasible(claim: Deployment, batch: int) -> str:
    """A remark where the memory does not hold the batch that is computed with."""
    return "" if batch <= (fits := claim.memory().sequences) else f" (memory holds {fits} such sequences)"


class StepFloor(Deployment, frozen=True, kw_only=True, tag="step-floor-ms"):
    """A decode step cannot take less than `value` ms."""

    value: float
    batch: Count = 1

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the roofline time of the step."""
        floor = _floor_ms(self, self.format, self.gpus, self.batch)
        text = f"{self.format} on {self.gpus} x {self.profile}, batch {self.batch}, context {self.context}"
        took = f"roofline {floor:.1f} ms per token{_infeasible(self, self.batch)}"
        return self.decided(floor > self.value, f"{text}: {took}")


class StepRatio(Deployment, frozen=True, kw_only=True, tag="step-ratio"):
    """`format` on `gpus` is `value` times as fast as `over` on `over_gpus`, at the roof."""

    over: str
    value: float
    over_gpus: Count | None = None
    batch: Count = 1
    tolerance: float = TOLERANCE

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the roofline times of both steps."""
        others = self.over_gpus or self.gpus
        slow = _floor_ms(self, self.over, others, self.batch)
        fast = _floor_ms(self, self.format, self.gpus, self.batch)
        text = (
            f"batch {self.batch}, context {self.context}: {self.over} on {others} x {self.profile}"
            f" {slow:.2f} ms, {self.format} on {self.gpus} {fast:.2f} ms, {slow / fast:.2f}x"
            f"{_infeasible(self, self.batch)}"
        )
        return self.decided(is_near(self.value, slow / fast, self.tolerance), text)


class RidgeBatch(Claim, frozen=True, kw_only=True, tag="ridge-batch"):
    """`format` on `profile` is compute bound from a batch of at least `value` on."""

    format: str
    profile: str
    value: float

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the ridge of the roofline, weights alone."""
        scheme, machine = choice(self.format), _machine(self.profile)
        rate = machine.rate(scheme.compute.name)
        if rate is None:
            return self.undecided(f"no rate for {scheme.compute.name} on {machine.id}")
        bits = scheme.weight.bits_per_element(_WIDE, _WIDE)
        batch = ridge_batch(bits, rate.value, machine.bandwidth.value)
        text = (
            f"{scheme.name} on {machine.id}: {bits:.4g} bits x {rate.value / 1e12:.4g} T/s / (16 x"
            f" {machine.bandwidth.value / 1e9:g} GB/s) = batch {batch:.0f}"
        )
        return self.decided(batch >= self.value, text)


class WeightsPerToken(NumberClaim, frozen=True, kw_only=True, tag="weights-per-token"):
    """Every token reads `value` times the weights of `model` in a batch."""

    model: str
    batch: Count = 1

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the layers: a step reads them once for its whole batch."""
        subject = model(self.model)
        read = sum(layer.parameters for layer in linear_layers(subject))
        share = read / total_parameters(subject) / self.batch
        text = f"a step reads {read / 1e9:.1f}e9 of {total_parameters(subject) / 1e9:.2f}e9 weights"
        return self.near(share, f"{text} for {self.batch} sequences: {share:.3f} per token")


class MonthlyPrice(Claim, frozen=True, kw_only=True, tag="monthly-price"):
    """`value` dollars per month for `gpus` is within the dated examples of prices for boards like `gpu`."""

    gpu: str
    value: float
    gpus: Count = 1

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the shipped examples."""
        price = self.value / HOURS_PER_MONTH / self.gpus
        rates = sorted(
            p.usd_per_gpu_hour for p in read_prices(EXAMPLES).values() if p.gpu.startswith(self.gpu)
        )
        if not rates:
            return self.undecided(
                f"implies {price:.3f} $ per GPU-hour; no example states a price for {self.gpu}"
            )
        text = f"states no rate; it implies {price:.3f} $ per GPU-hour"
        evidence = f"{text}; examples {rates[0]:g} to {rates[-1]:g}"
        return self.decided(rates[0] <= price <= rates[-1], evidence)


class NativeDtype(Claim, frozen=True, kw_only=True, tag="native-dtype"):
    """Every shipped model was published in one of `among`."""

    among: tuple[str, ...]

    def judge(self, _evidence: Evidence) -> ClaimResult:
        """By the catalog of models."""
        models = catalog()
        others = [f"{m.id} ({m.native_dtype})" for m in models.values() if m.native_dtype not in self.among]
        text = f"{len(models) - len(others)} of {len(models)} models of the catalog"
        return self.decided(not others, f"{text}; not: {', '.join(others)}" if others else text)


ServingClaim = (
    BareGb | BareMs | WeightsGb | WeightsFit | Serves | KvRoom | KvOverWeights | StepFloor | StepRatio
    | RidgeBatch | WeightsPerToken | MonthlyPrice | NativeDtype
)  # fmt: skip


def _bare(parameters: float, name: str) -> tuple[float, str]:
    """Bytes of so many elements, and the sum in words."""
    bits = element(name).bits
    size = parameters * bits / 8
    return size, f"{parameters / 1e9:g}e9 x {bits} bits = {size / 1e9:.4g} GB"


def _floor_ms(claim: Deployment, name: str, gpus: int, batch: int) -> float:
    """Roofline milliseconds of a decode step in a format on a number of GPUs."""
    timer = Timer(_machine(claim.profile), TimingTable(), _ROOF)
    step = decode_step(
        model(claim.model), choice(name), _CACHE, batch=batch, context=claim.context, ways=gpus, timer=timer
    )
    if step.total.floor is None:
        raise UsageError(f"no rate of {claim.profile} is known for {name}", where=claim.id)
    return step.total.floor * 1e3


def _machine(profile: str) -> Machine:
    return from_profile(hardware.profile(profile))
