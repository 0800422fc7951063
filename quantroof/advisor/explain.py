"""Every formula with its numbers, so that an engineer can check an answer by hand."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import msgspec

from quantroof.advisor.advice import Advice, Option
from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.crossover import case_bound
from quantroof.advisor.kernel_costs import Operation, reduce_cost
from quantroof.advisor.layers import (
    Linear,
    embedding_parameters,
    linear_layers,
    linear_parameters,
    norm_parameters,
    total_parameters,
)
from quantroof.advisor.linear_time import Timer, Work, linear_work
from quantroof.advisor.links import Link
from quantroof.advisor.memory import (
    KV_BLOCK_TOKENS,
    kv_elements,
    kv_read_bytes,
    state_bytes,
    weight_parts,
)
from quantroof.advisor.models import Model
from quantroof.advisor.step import EXPERTS, OTHER, REDUCES_PER_LAYER
from quantroof.advisor.timings import TimingTable
from quantroof.hwprofiles import roofline
from quantroof.kernels.schemes import Scheme


class Calculation(msgspec.Struct, frozen=True, kw_only=True):
    """What is computed, the formula with numbers in it, and the result."""

    what: str
    formula: str
    result: str


def explain(advice: Advice, option: Option) -> tuple[Calculation, ...]:
    """The account of one option, from parameters to dollars."""
    lines = [*_weights(advice, option), *_cache(advice, option), *_fit(advice, option)]
    if option.decode is not None:
        timer = Timer(advice.machine, TimingTable(), advice.request.assumptions)
        lines += [*_linear(advice, option, timer), *_rest(advice, option, timer)]
    return (*lines, *_money(advice, option))


def _weights(advice: Advice, option: Option) -> Iterator[Calculation]:
    model, scheme = advice.model, choice(option.format)
    linear, norms = linear_parameters(model), norm_parameters(model)
    tied = " (its head is the same)" if model.tied_embeddings else ""
    yield Calculation(
        what="parameters",
        formula=f"linear {linear:,} + embedding {embedding_parameters(model):,}{tied} + norms {norms:,}",
        result=f"{total_parameters(model):,}",
    )
    yield Calculation(
        what="weights on each GPU",
        formula=_stored(model, scheme, option.gpus),
        result=f"{option.memory.weights / 1e9:.2f} GB",
    )


@lru_cache(maxsize=1 << 12)
def _stored(model: Model, scheme: Scheme, ways: int) -> str:
    """The bytes of every part of a model on one of `ways` GPUs, and what is stored in how many bits."""
    layers = linear_layers(model)
    layer = next(layer for layer in layers if layer.quantized and scheme.weight not in layer.wide_in)
    bits = layer.kept(scheme).weight.bits_per_element(layer.n, layer.k)
    wide = {part for name, parts in model.wide if choice(name).weight == scheme.weight for part in parts}
    apart = "".join(f", {part}" for part in sorted(wide))
    parts = weight_parts(model, scheme, ways)
    sizes = " + ".join(f"{name} {size / 1e9:.3f} GB" for name, size in parts.items())
    return f"{sizes}; {bits:.4g} bit with scales, head, router and embedding{apart} at 16 or 32 bit"


def _cache(advice: Advice, option: Option) -> Iterator[Calculation]:
    model, context = advice.model, advice.request.context
    bits = kv_format(option.kv).bits_per_element(1, 64)
    pages = -(-context // KV_BLOCK_TOKENS) * KV_BLOCK_TOKENS
    elements = kv_elements(model, option.gpus)
    tokens = model.cached(pages)
    what = "latent + rope" if model.mla else "2 x KV heads x head_dim"
    more = "" if model.index is None else f" + {model.indexed} x {pages:,} keys of the indexer"
    if model.local is not None:
        more += f", sliding layers with {model.local.kv_heads} heads of {model.local.head_dim}"
    if model.recurrent is not None:
        more += f" + states of {state_bytes(model, option.gpus) / 1e6:.1f} MB"
    yield Calculation(
        what="KV cache of a sequence",
        formula=f"{what} = {elements:g} x {tokens:,} tokens of all layers x {bits:g} bit / 8{more}",
        result=f"{option.memory.kv_per_sequence / 1e6:.1f} MB per GPU",
    )


def _fit(advice: Advice, option: Option) -> Iterator[Calculation]:
    fit, share = option.memory, advice.request.reserve.utilization
    free = f"{share:g} x {advice.machine.memory_bytes / 1e9:.1f} - {fit.weights / 1e9:.2f} - "
    free += f"{fit.runtime / 1e9:.1f}"
    kv = f"{fit.kv_per_sequence / 1e9:.4f}"
    if fit.logits_bind:
        formula = f"({free}) GB / ({kv} + {fit.logits_per_sequence / 1e9:.4f} of logits) GB"
    else:
        formula = f"({free} - {fit.activations / 1e9:.2f}) GB / {kv} GB"
    yield Calculation(what="sequences that fit", formula=formula, result=str(fit.sequences))


def _linear(advice: Advice, option: Option, timer: Timer) -> Iterator[Calculation]:
    assert option.decode is not None
    batch, layers = option.batch or 1, {layer.name: layer for layer in linear_layers(advice.model)}
    for part in option.decode.parts:
        if not part.name.startswith("linear "):
            continue
        name, time = part.name.removeprefix("linear "), part.estimate
        result = f"{time.seconds * 1e3:.3f} ms [{time.low * 1e3:.3f}, {time.high * 1e3:.3f}]"
        if part.name == EXPERTS:
            formula = f"{time.source}; {_experts(advice, option, batch, timer)}"
            yield Calculation(what=f"experts, M = {batch}", formula=formula, result=result)
            continue
        layer = layers[name]
        _, (n, k), work = linear_work(layer, choice(option.format), batch, option.gpus)
        formula = f"{time.source}; {_roof(timer, layer, layer.kept(choice(option.format)).name, work)}"
        what = f"{name} [{n} x {k}] x {layer.count}, M = {batch}"
        yield Calculation(what=what, formula=formula, result=result)


def _experts(advice: Advice, option: Option, batch: int, timer: Timer) -> str:
    moe = advice.model.moe
    assert moe is not None
    constants = _constants(timer, "experts", option.format)
    layers = advice.model.moe_layers
    return (
        f"{layers} x ({constants}), {moe.expected_hit(batch):.1f} of {moe.experts} experts read, router's "
        "sort and both products counted"
    )


def _constants(timer: Timer, operation: Operation, name: str) -> str:
    """The constants of a kernel with their origin, as `7.2 us + roof / 0.84 of the bandwidth`."""
    row = timer.cost(operation, name)
    shares = [(row.memory, "the bandwidth"), (row.compute, "the matrix rate")]
    words = " or ".join(f"{share:.2f} of {what}" for share, what in shares if share is not None)
    origin = f", kernels timed on {row.gpu}" if row.points else ""
    return f"{row.fixed_us:.3g} us + roof / ({words or '1'}){origin}"


def _roof(timer: Timer, layer: Linear, name: str, work: Work) -> str:
    """The roofs over one layer with their numbers, and the constants of its kernel in a format."""
    machine, rate = timer.machine, timer.machine.rate(work.element)
    flops = "unknown" if rate is None else f"{rate.value / 1e12:.4g} T/s"
    moved, products = work.bytes_moved * layer.count / 1e9, work.flops * layer.count / 1e12
    bandwidth = machine.bandwidth.value
    roofs = f"roof max({moved:.3f} GB / {bandwidth / 1e9:.0f} GB/s, {products:.3f} TFLOP / {flops})"
    if rate is None:
        return roofs
    bound = roofline.bound(work.flops, work.bytes_moved, rate.value, bandwidth)
    roof = roofline.attainable_seconds(work.flops, work.bytes_moved, rate.value, bandwidth)
    held = case_bound(bound, roof, timer.assumptions.launch_s)
    return f"{roofs}, {held} bound; each {_constants(timer, 'linear', name)}"


def _rest(advice: Advice, option: Option, timer: Timer) -> Iterator[Calculation]:
    assert option.decode is not None
    decode, batch, machine = option.decode, option.batch or 1, advice.machine
    attention, whole = decode.part("attention"), decode.total
    kv = kv_format(option.kv)
    context = advice.request.context
    moved = batch * kv_read_bytes(advice.model, kv, context, option.gpus)  # no page is read whole
    kind: Operation = "decode-attention" if advice.model.mla is None else "latent-attention"
    constants = _constants(timer, kind, "fp16" if kv.element.bits > 8 else "fp8")
    yield Calculation(
        what="attention",
        formula=(
            f"{batch} x cache of {context} tokens = {moved / 1e9:.2f} GB / "
            f"{machine.bandwidth.value / 1e9:.0f} GB/s, or its operations; per layer {constants}"
        ),
        result=f"{attention.seconds * 1e3:.3f} ms",
    )
    if option.gpus > 1 and machine.link is not None:
        yield _all_reduces(advice, option, machine.link, batch)
    if any(part.name == OTHER for part in decode.parts):
        other = decode.part(OTHER)
        formula = "norms, rotary embedding and activations: short kernels of every layer, and their bytes"
        yield Calculation(what=OTHER, formula=formula, result=f"{other.seconds * 1e3:.3f} ms")
    yield Calculation(
        what="decode step",
        formula="sum of the above",
        result=f"{whole.seconds * 1e3:.2f} ms [{whole.low * 1e3:.2f}, {whole.high * 1e3:.2f}]",
    )
    if option.tokens_per_s is not None:
        formula = f"{batch} tokens / {batch / option.tokens_per_s * 1e3:.2f} ms"
        yield Calculation(what="throughput", formula=formula, result=f"{option.tokens_per_s:.1f} tokens/s")


def _all_reduces(advice: Advice, option: Option, link: Link, batch: int) -> Calculation:
    assert option.decode is not None
    count, ways = REDUCES_PER_LAYER * advice.model.layers, option.gpus
    row = reduce_cost(link.kind, option.gpus) if link.from_catalog else None
    fixed = link.latency_s * 1e6 if row is None else row.fixed_us
    share = "" if row is None or row.memory is None else f" / {row.memory:.2f}"
    return Calculation(
        what="all-reduces",
        formula=(
            f"{count} x ({fixed:.3g} us + 2 x {ways - 1}/{ways} x {batch} x {advice.model.hidden} x 2 B / "
            f"{link.bytes_per_s / 1e9:g} GB/s{share})"
        ),
        result=f"{option.decode.part('all-reduce').seconds * 1e3:.3f} ms",
    )


def _money(advice: Advice, option: Option) -> Iterator[Calculation]:
    price, gpus = advice.price, option.total_gpus
    if price is None or gpus is None or option.usd_per_month is None:
        return
    yield Calculation(
        what="dollars per month",
        formula=f"{gpus} GPU x {price.usd_per_gpu_hour:g} $/h x 730 h ({price.source}, {price.date})",
        result=f"{option.usd_per_month:.0f}",
    )
    if option.usd_per_million_tokens is not None:
        rate = advice.request.tokens_per_s or option.tokens_per_s or 0.0
        yield Calculation(
            what="dollars per million tokens",
            formula=f"1e6 x {gpus} x {price.usd_per_gpu_hour:g} / (3600 x {rate:.4g} tokens/s)",
            result=f"{option.usd_per_million_tokens:.2f}",
        )
