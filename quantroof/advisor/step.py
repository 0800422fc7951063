"""Time of one decode step and of a prefill, on one GPU or with tensor parallelism.

T = sum over operations of max(bytes / bandwidth, operations / rate), + all-reduces + launches. A sum of
maxima, not a maximum of sums: operations of one step depend on one another. Not counted: norms, rotary
embedding, residuals, sampling and the gather of the logits; together they move a few rows of hidden width.
"""

from __future__ import annotations

import msgspec

from quantroof.advisor.choices import wide_scheme
from quantroof.advisor.estimate import Estimate, Source, total
from quantroof.advisor.layers import linear_layers
from quantroof.advisor.linear_time import Timer
from quantroof.advisor.memory import kv_bytes, kv_read_bytes
from quantroof.advisor.models import Model
from quantroof.kernels.formats import Format
from quantroof.kernels.schemes import Scheme

REDUCES_PER_LAYER = 2  # after the attention's output and after the MLP (Megatron-LM)


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
        """Share of the linear layers' time by where it comes from, the largest first.

        Attention and all-reduces are always modeled.
        """
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

    def part(self, name: str) -> Estimate:
        """The sum of the parts whose name starts so."""
        return total(p.estimate for p in self.parts if p.name.startswith(name))


def decode_step(
    model: Model, scheme: Scheme, kv: Format, *, batch: int, context: int, ways: int, timer: Timer
) -> Step:
    """One new token for each of `batch` sequences that are `context` tokens long."""
    attended = model.attended(context) * batch
    moved = kv_read_bytes(model, kv, context, ways) * batch
    flops = attended * _decode_flops_per_token(model) / ways
    attention = timer.modeled("attention", flops, moved, wide_scheme(scheme).compute.name)
    return _step(model, scheme, batch, batch, attention, ways, timer)


def prefill(
    model: Model, scheme: Scheme, kv: Format, *, batch: int, context: int, ways: int, timer: Timer
) -> Step:
    """The prompts of `batch` sequences, `context` tokens each; the head for the last token only."""
    flops = batch * _prefill_flops(model, context) / ways
    moved = kv_bytes(model, kv, context, ways) * batch
    attention = timer.modeled("attention", flops, moved, wide_scheme(scheme).compute.name)
    return _step(model, scheme, batch * context, batch, attention, ways, timer)


def _step(
    model: Model, scheme: Scheme, tokens: int, logits: int, attention: Estimate, ways: int, timer: Timer
) -> Step:
    parts, joules = [], 0.0
    unread = False
    for layer in linear_layers(model):
        rows = logits if layer.part == "head" else tokens
        one, energy = timer.layer(layer, scheme, rows, ways)
        parts.append(Part(name=f"linear {layer.name}", estimate=one.times(layer.count)))
        unread = unread or energy is None
        joules += (energy or 0.0) * layer.count
    parts.append(Part(name="attention", estimate=attention))
    if ways > 1:
        parts.append(Part(name="all-reduce", estimate=_communication(model, scheme, tokens, ways, timer)))
    if timer.assumptions.launch_s:
        parts.append(Part(name="launches", estimate=_launches(model, timer)))
    whole = total(p.estimate for p in parts)
    return Step(tokens=tokens, parts=tuple(parts), total=whole, joules=None if unread else joules)


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


def _communication(model: Model, scheme: Scheme, tokens: int, ways: int, timer: Timer) -> Estimate:
    link = timer.machine.link
    assert link is not None, "tensor parallelism without a link is refused before it is timed"
    payload = tokens * model.hidden * wide_scheme(scheme).output.element.bits / 8
    count = REDUCES_PER_LAYER * model.layers
    seconds = count * link.all_reduce_seconds(payload, ways)
    wire = seconds - count * link.latency_s
    # The latency is an assumption: between nothing and twice of it.
    return Estimate(seconds=seconds, low=wire, high=2 * seconds - wire, floor=0.0, source="modeled")


def _launches(model: Model, timer: Timer) -> Estimate:
    seconds = timer.assumptions.launch_s * timer.assumptions.kernels_per_layer * model.layers
    return Estimate(seconds=seconds, low=0.0, high=2 * seconds, floor=0.0, source="modeled")
