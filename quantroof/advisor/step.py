"""Time of one decode step and of a prefill, on one GPU or with tensor parallelism.

T = sum over operations of fixed time + max(bytes / bandwidth, operations / rate) at the efficiencies
of `kernel_costs`, + all-reduces. A sum of maxima, not a maximum of sums: operations of one step depend on
one another. Not counted: sampling, the gather of the logits, and what the host does between steps.
"""

from __future__ import annotations

import msgspec

from quantroof.advisor.bands import Kind, band_of
from quantroof.advisor.choices import wide_scheme
from quantroof.advisor.estimate import Estimate, Source, total
from quantroof.advisor.kernel_costs import Operation
from quantroof.advisor.layers import linear_layers
from quantroof.advisor.linear_time import Timer, Work
from quantroof.advisor.memory import kv_bytes, kv_read_bytes
from quantroof.advisor.models import Model
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import Scheme

EXPERTS, OTHER = "linear experts", "other"
# The cache of a run's attention that stands for a format of a plan.
_CACHES = {"fp16": "bf16-kv", "bf16": "bf16-kv", "fp8_e4m3": "fp8-kv", "int8": "int8-kv", "nvfp4": "nvfp4-kv"}
REDUCES_PER_LAYER = 2  # after the attention's output and after the MLP (Megatron-LM)
# Two norms with their residuals, rotary embedding with the write of the cache, and the activation.
SHORT_KERNELS_PER_LAYER = 4
# Norms and the activation quantize what they write for the next product; the time of a product that quantizes
# already counts these kernels.
FUSED_WITH_QUANTIZING = 3


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the account of a step."""

    name: str
    estimate: Estimate


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step with its parts. `joules` per GPU counts the linear layers, None unless all of them were read."""

    tokens: int
    parts: tuple[Part, ...]
    total: Estimate
    joules: float | None = None

    @property
    def linear_shares(self) -> dict[Source, float]:
        """Share of the linear layers' time by where it comes from, the largest first."""
        shares: dict[Source, float] = {}
        whole = self.part("linear").seconds
        for part in self.parts:
            if part.name.startswith("linear"):
                source = part.estimate.source
                shares[source] = shares.get(source, 0.0) + part.estimate.seconds / whole
        return dict(sorted(shares.items(), key=lambda item: -item[1]))

    @property
    def linear_words(self) -> str:
        """`measured`, or `91% interpolated, 9% modeled` of the linear layers' time."""
        shares = self.linear_shares
        if len(shares) == 1:
            return next(iter(shares))
        return ", ".join(f"{share:.0%} {source}" for source, share in shares.items())

    def banded(self, low: float, high: float) -> Estimate:
        """The total with another band of its modeled parts."""
        return total(part.estimate.banded(low, high) for part in self.parts)

    def part(self, name: str) -> Estimate:
        """The sum of the parts whose name starts so."""
        return total(p.estimate for p in self.parts if p.name.startswith(name))


def decode_step(
    model: Model, scheme: Scheme, kv: Format, *, batch: int, context: int, ways: int, timer: Timer
) -> Step:
    """One new token for each of `batch` sequences that are `context` tokens long."""
    attention = _decode_attention(model, scheme, kv, batch, context, ways, timer)
    return _step("per token", model, scheme, batch, batch, attention, ways, timer)


def mixed_step(
    model: Model,
    scheme: Scheme,
    kv: Format,
    *,
    batch: int,
    context: int,
    prompt: int,
    ways: int,
    timer: Timer,
) -> Step:
    """A decode step in which one prompt of `prompt` tokens is read as well: its weights are read once."""
    attention = total(
        [
            _decode_attention(model, scheme, kv, batch, context, ways, timer),
            _prefill_attention(model, scheme, kv, 1, prompt, ways, timer),
        ]
    )
    return _step("per token", model, scheme, batch + prompt, batch + 1, attention, ways, timer)


def prefill(
    model: Model, scheme: Scheme, kv: Format, *, batch: int, context: int, ways: int, timer: Timer
) -> Step:
    """The prompts of `batch` sequences, `context` tokens each; the head for the last token only."""
    attention = _prefill_attention(model, scheme, kv, batch, context, ways, timer)
    return _step("first token", model, scheme, batch * context, batch, attention, ways, timer)


def _decode_attention(
    model: Model, scheme: Scheme, kv: Format, batch: int, context: int, ways: int, timer: Timer
) -> Estimate:
    timed = _timed_attention(model, kv, batch, context, ways, timer)
    if timed is not None:
        return timed
    flops = model.attended(context) * batch * _decode_flops_per_token(model) / ways
    moved = kv_read_bytes(model, kv, context, ways) * batch
    kind: Operation = "decode-attention" if model.mla is None else "latent-attention"
    return _attention(model, kv, kind, Work(flops, moved, wide_scheme(scheme).compute.name), timer)


def _timed_attention(
    model: Model, kv: Format, batch: int, context: int, ways: int, timer: Timer
) -> Estimate | None:
    """All layers as the run timed attention, None where it did not time every kind that the model has."""
    cache = _CACHES.get(kv.element.name, kv.element.name)  # no run times the others
    if model.index is not None or model.recurrent is not None:
        return None
    kinds = []
    if model.full_layers:
        if model.mla is not None:
            one = timer.latent_attention(-(-model.heads // ways), model.mla, cache, batch, context)
        else:
            one = timer.attention(model.global_heads, cache, batch, context, ways)
        kinds.append((model.full_layers, one))
    if model.windowed:
        kept = min(context, model.window or context)
        kinds.append((model.windowed, timer.attention(model.local_heads, cache, batch, kept, ways)))
    times = [one.times(count) for count, one in kinds if one is not None]
    return total(times) if len(times) == len(kinds) else None


def _prefill_attention(
    model: Model, scheme: Scheme, kv: Format, batch: int, context: int, ways: int, timer: Timer
) -> Estimate:
    flops = batch * _prefill_flops(model, context) / ways
    moved = kv_bytes(model, kv, context, ways) * batch
    work = Work(flops, moved, wide_scheme(scheme).compute.name, context)
    return _attention(model, kv, "prefill-attention", work, timer)


def _attention(model: Model, kv: Format, kind: Operation, work: Work, timer: Timer) -> Estimate:
    """The attention of all layers: one kernel per layer, each with its share of the work."""
    cache = "fp16" if kv.element.bits == 16 else "fp8"
    count = max(model.full_layers + model.windowed, 1)
    each = Work(work.flops / count, work.bytes_moved / count, work.element, work.rows)
    return timer.modeled(kind, cache, each).times(count)


def _step(
    kind: Kind,
    model: Model,
    scheme: Scheme,
    tokens: int,
    logits: int,
    attention: Estimate,
    ways: int,
    timer: Timer,
) -> Step:
    parts: list[tuple[str, Estimate]] = []
    energies: list[float | None] = []
    layers = linear_layers(model)
    for layer in layers:
        if layer.moe is not None:
            continue
        rows = logits if layer.part == "head" else tokens
        one, energy = timer.layer(layer, scheme, rows, ways)
        parts.append((f"linear {layer.name}", one.times(layer.count)))
        energies.append(None if energy is None else energy * layer.count)
    routed = [layer for layer in layers if layer.moe is not None]
    if routed:
        up, down = routed
        parts.append((EXPERTS, timer.experts(up, down, scheme, tokens, ways).times(up.count)))
    parts.append(("attention", attention))
    if ways > 1:
        payload = tokens * model.hidden * wide_scheme(scheme).output.element.bits / 8
        reduces = timer.all_reduce(payload, ways).times(REDUCES_PER_LAYER * model.layers)
        parts.append(("all-reduce", reduces))
    if not timer.assumptions.plain_roofline:
        parts.append((OTHER, _other(model, scheme, tokens, ways, timer)))
    if timer.assumptions.launch_s:
        parts.append(("launches", _launches(model, timer)))
    band = band_of(kind, model.moe is not None, 0.0, sum(estimate.seconds for _, estimate in parts))
    banded = tuple(Part(name=name, estimate=estimate.banded(*band)) for name, estimate in parts)
    whole = total(part.estimate for part in banded)
    return Step(tokens=tokens, parts=banded, total=whole, joules=None if routed else _sum(energies))


def _sum(values: list[float | None]) -> float | None:
    """Their sum, None where one is unknown: the others would be too little."""
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _other(model: Model, scheme: Scheme, tokens: int, ways: int, timer: Timer) -> Estimate:
    """Norms with residuals, rotary embedding with the write of the cache, and activations.

    A norm reads and writes two rows of the hidden width; the rotary embedding reads and writes queries and
    keys; the activation reads gate and up and writes their product.
    """
    width = wide_scheme(scheme).output.element.bits / 8
    heads = 2 * (model.heads + 2 * model.kv_heads) * model.head_dim / ways
    inner = 3 * model.intermediate / ways if model.moe is None else 0.0
    moved = tokens * (8 * model.hidden + heads + inner) * width
    quantizes = scheme.activation.element.bits < 16
    count = SHORT_KERNELS_PER_LAYER - (FUSED_WITH_QUANTIZING if quantizes else 0)
    return timer.short_kernels(count, moved).times(model.layers)


def _decode_flops_per_token(model: Model) -> float:
    """Operations a cached token costs in one layer: scores and weighted sum, 2 a multiply-add, all heads.

    With a latent cache both run on the latent itself (weight absorption, DeepSeek-V2 section 2.1.2).
    """
    if model.mla is not None:
        return 2.0 * model.heads * (model.mla.latent + model.mla.kv_rank)
    return 4.0 * model.heads * model.head_dim


def _prefill_flops(model: Model, context: int) -> float:
    """Causal attention of one sequence, all layers: 2 (d_qk + d_v) heads for each attended pair."""
    widths = 2 * model.head_dim if model.mla is None else model.head_dim + model.mla.v_dim
    window = min(model.window or context, context)
    full = context**2 / 2
    sliding = context * window - window**2 / 2
    pairs = model.full_layers * full + (model.layers - model.full_layers) * sliding
    return 2.0 * widths * model.heads * pairs


def _launches(model: Model, timer: Timer) -> Estimate:
    seconds = timer.assumptions.launch_s * timer.assumptions.kernels_per_layer * model.layers
    return Estimate(seconds=seconds, low=seconds, high=seconds, floor=0.0, source="modeled")
