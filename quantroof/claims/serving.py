"""Judges claims about serving a model: bytes, what fits, roofline times, crossovers and prices."""

from __future__ import annotations

from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.cost import EXAMPLES, HOURS_PER_MONTH, read_prices
from quantroof.advisor.crossover import ridge_batch
from quantroof.advisor.layers import linear_layers, total_parameters
from quantroof.advisor.linear_time import Assumptions, Timer
from quantroof.advisor.machine import Machine, from_profile
from quantroof.advisor.memory import MemoryFit, Reserve, kv_bytes, memory_fit, weight_bytes
from quantroof.advisor.model_lookup import catalog, model
from quantroof.advisor.models import Model
from quantroof.advisor.step import decode_step
from quantroof.advisor.timings import TimingTable
from quantroof.claims.model import Claim, Evaluator, Judgement, judged, near, need, undecided
from quantroof.hwprofiles import catalog as hardware
from quantroof.kernels.formats import element

_CACHE = kv_format("fp16")
# At the roof: what the hardware allows, so that a claim is not judged by an assumed efficiency.
_ROOF = Assumptions(memory_efficiency=1.0, compute_efficiency=1.0)
_WIDE = 8192


def evaluators() -> dict[str, Evaluator]:
    """The evaluator of every kind of this room: arithmetic on shipped models and profiles."""
    return {
        "bare-gb": _bare_gb,
        "bare-ms": _bare_ms,
        "weights-gb": _weights_gb,
        "weights-fit": _weights_fit,
        "serves": _serves,
        "kv-room-gb": _kv_room,
        "kv-over-weights": _kv_over_weights,
        "step-floor-ms": _step_floor,
        "step-ratio": _step_ratio,
        "ridge-batch": _ridge,
        "weights-per-token": _weights_per_token,
        "monthly-price": _monthly_price,
        "native-dtype": _native_dtype,
    }


def _bare_gb(claim: Claim) -> Judgement:
    """`parameters` of `element`, nothing else stored, are `value` GB."""
    size, text = _bare(claim)
    return near(claim, size / 1e9, text)


def _bare_ms(claim: Claim) -> Judgement:
    """... and cross the memory bus of `profile` in `value` ms."""
    size, text = _bare(claim)
    machine = _machine(claim)
    time = size / machine.bandwidth.value
    return near(claim, time * 1e3, f"{text}; at {machine.bandwidth.value / 1e9:g} GB/s {time * 1e3:.4g} ms")


def _bare(claim: Claim) -> tuple[float, str]:
    count, name = need(claim, "parameters", claim.parameters), need(claim, "element", claim.element)
    size = count * element(name).bits / 8
    return size, f"{count / 1e9:g}e9 x {element(name).bits} bits = {size / 1e9:.4g} GB"


def _weights_gb(claim: Claim) -> Judgement:
    """All weights of `model` in the format `element` are `value` GB."""
    subject, name = _model(claim), need(claim, "element", claim.element)
    size = weight_bytes(subject, choice(name)) / 1e9
    text = f"{subject.id}, {total_parameters(subject):,} parameters, {name} with scales and a 16-bit head"
    return near(claim, size, f"{text}: {size:.1f} GB")


def _weights_fit(claim: Claim) -> Judgement:
    """The bare weights fit in the memory of `gpus`, or do not, as `states` says."""
    machine, found = _machine(claim), _fit(claim)
    text = f"{found.weights / 1e9:.1f} GB a GPU in {machine.memory_bytes / 1e9:g} GB"
    return judged(claim, (found.weights < machine.memory_bytes) == claim.states, text)


def _serves(claim: Claim) -> Judgement:
    """At least one sequence of `context` fits beside the weights, or does not, as `states` says."""
    found = _fit(claim)
    text = (
        f"{claim.element} on {claim.gpus} x {claim.profile}: {found.weights / 1e9:.1f} GB of weights a GPU,"
        f" {found.left_for_kv / 1e9:+.1f} GB left of {found.usable / 1e9:.0f} usable,"
        f" {found.sequences} sequences of {claim.context}"
    )
    return judged(claim, (found.sequences > 0) == claim.states, text)


def _kv_room(claim: Claim) -> Judgement:
    """`value` GB are left for the cache on all GPUs together."""
    found = _fit(claim)
    room = claim.gpus * found.left_for_kv / 1e9
    text = f"{claim.element} on {claim.gpus} x {claim.profile} leaves {room:.1f} GB after weights and reserve"
    return near(claim, room, f"{text}, {found.sequences} sequences of {claim.context}")


def _kv_over_weights(claim: Claim) -> Judgement:
    """The cache of `batch` sequences exceeds `value` times the weights, or does not, as `states` says."""
    subject, said = _model(claim), need(claim, "value", claim.value)
    cache = claim.batch * kv_bytes(subject, _CACHE, claim.context)
    weights = weight_bytes(subject, choice(need(claim, "element", claim.element)))
    text = f"batch {claim.batch}, context {claim.context}: {cache / 1e9:.1f} GB of cache"
    evidence = f"{text}, {cache / weights:.2f} x {weights / 1e9:.1f} GB of weights"
    return judged(claim, (cache / weights > said) == claim.states, evidence)


def _step_floor(claim: Claim) -> Judgement:
    """A decode step cannot take less than `value` ms."""
    name = need(claim, "element", claim.element)
    floor = _floor(claim, name, claim.gpus) * 1e3
    text = f"{name} on {claim.gpus} x {claim.profile}, batch {claim.batch}, context {claim.context}"
    return judged(
        claim, floor > need(claim, "value", claim.value), f"{text}: roofline {floor:.1f} ms a token"
    )


def _step_ratio(claim: Claim) -> Judgement:
    """`element` on `gpus` is `value` times as fast as `over` on `over_gpus`, at the roof."""
    name, over = need(claim, "element", claim.element), need(claim, "over", claim.over)
    others = claim.over_gpus or claim.gpus
    slow, quick = _floor(claim, over, others) * 1e3, _floor(claim, name, claim.gpus) * 1e3
    text = f"batch {claim.batch}, context {claim.context}: {over} on {others} x {claim.profile} {slow:.2f} ms"
    return near(claim, slow / quick, f"{text}, {name} on {claim.gpus} {quick:.2f} ms, {slow / quick:.2f}x")


def _ridge(claim: Claim) -> Judgement:
    """Compute binds from a batch of at least `value` on."""
    scheme, machine = choice(need(claim, "element", claim.element)), _machine(claim)
    rate = machine.rate(scheme.compute.name)
    if rate is None:
        return undecided(claim, f"no rate for {scheme.compute.name} on {machine.id}")
    bits = scheme.weight.bits_per_element(_WIDE, _WIDE)
    batch = ridge_batch(bits, rate.value, machine.bandwidth.value)
    text = f"{scheme.name} on {machine.id}: {bits:.4g} bits x {rate.value / 1e12:.4g} T/s / (16 x"
    evidence = f"{text} {machine.bandwidth.value / 1e9:g} GB/s) = batch {batch:.0f}"
    return judged(claim, batch >= need(claim, "value", claim.value), evidence)


def _weights_per_token(claim: Claim) -> Judgement:
    """Every token reads `value` times the weights of `model`: a step reads them once for its whole batch."""
    subject = _model(claim)
    read = sum(layer.parameters for layer in linear_layers(subject))
    share = read / total_parameters(subject) / claim.batch
    text = f"a step reads {read / 1e9:.1f}e9 of {total_parameters(subject) / 1e9:.2f}e9 weights"
    return near(claim, share, f"{text} for {claim.batch} sequences: {share:.3f} a token")


def _monthly_price(claim: Claim) -> Judgement:
    """`value` dollars a month for `gpus` lies within the dated examples of prices for such GPUs."""
    price = need(claim, "value", claim.value) / HOURS_PER_MONTH / claim.gpus
    kind = need(claim, "other", claim.other)
    stated = [p for p in read_prices(EXAMPLES).values() if p.gpu.startswith(kind)]
    if not stated:
        return undecided(claim, f"implies {price:.3f} $ a GPU-hour; no example states a price for {kind}")
    rates = sorted(p.usd_per_gpu_hour for p in stated)
    text = f"states no rate; it implies {price:.3f} $ a GPU-hour; examples {rates[0]:g} to {rates[-1]:g}"
    return judged(claim, rates[0] <= price <= rates[-1], text)


def _native_dtype(claim: Claim) -> Judgement:
    """Every shipped model was published in one of `among`."""
    known = catalog()
    others = [f"{m.id} ({m.native_dtype})" for m in known.values() if m.native_dtype not in claim.among]
    text = f"{len(known) - len(others)} of {len(known)} models of the catalog"
    return judged(claim, not others, f"{text}; not: {', '.join(others)}" if others else text)


def _floor(claim: Claim, name: str, gpus: int) -> float:
    """Roofline seconds of a decode step."""
    timer = Timer(_machine(claim), TimingTable(), _ROOF)
    step = decode_step(
        _model(claim), choice(name), _CACHE, batch=claim.batch, context=claim.context, ways=gpus, timer=timer
    )
    return need(claim, "a rate", step.total.floor)


def _fit(claim: Claim) -> MemoryFit:
    scheme = choice(need(claim, "element", claim.element))
    memory = _machine(claim).memory_bytes
    return memory_fit(_model(claim), scheme, _CACHE, claim.context, memory, claim.gpus, Reserve())


def _model(claim: Claim) -> Model:
    return model(need(claim, "model", claim.model))


def _machine(claim: Claim) -> Machine:
    return from_profile(hardware.profile(need(claim, "profile", claim.profile)))
