"""The order of options: within one another's error they are equal, and the smallest deployment is first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof.advisor.advice import AdviceOptions, Option
from quantroof.advisor.choices import choice, kv_format, weight_only
from quantroof.advisor.models import Model

# Weights below 8 bits may cost quality that the user does not accept.
_FEW_BITS = 4
# Formats that vLLM and SGLang make well from a 16-bit checkpoint; others need a checkpoint of their own.
_MADE_ON_LOAD = ("fp32", "tf32", "fp16", "bf16", "fp8-w8a8", "fp8-w8a16")


@dataclass(frozen=True, slots=True)
class _Ranked:
    """An option with its effort, which is better the lower it is, and the band of that effort."""

    option: Option
    modeled: bool
    effort: float
    low: float
    high: float
    preference: tuple[float, ...]


def ranked(options: Sequence[Option], request: AdviceOptions, model: Model) -> list[Option]:
    """Options that fit, the best first; then those that miss, with the fewest GPUs and the least time first.

    Effort is the number of GPUs for a load, else GPU seconds per token. Of the options whose bands overlap
    that of the best, the smallest deployment is first, then the checkpoint's own format, then the widest
    weights, then those that the matrix units take as they are stored, then what an engine makes from the
    checkpoint while it loads, then the widest cache.
    """
    fitting = [_measure(o, request, model) for o in options if o.tokens_per_s is not None]
    missing = [o for o in options if o.tokens_per_s is None]
    order = []
    while fitting:
        best = min(fitting, key=lambda r: (r.modeled, r.effort, r.preference))
        first = min((r for r in fitting if _equal(r, best)), key=lambda r: r.preference)
        fitting.remove(first)
        order.append(first.option)
    return [*order, *sorted(missing, key=_shortfall)]


def frontier(options: Sequence[Option]) -> tuple[int, ...]:
    """The first option of every GPU count that pays; also the first with wider weights if those have 4 bits.

    A larger count pays if it shortens a single stream, serves more tokens with each GPU, or holds wider
    weights.
    """
    timed = [(i, o) for i, o in enumerate(options) if o.tokens_per_s is not None and o.single is not None]
    kept: list[int] = []
    for gpus in sorted({option.gpus for _, option in timed}):
        index, first = next((i, o) for i, o in timed if o.gpus == gpus)
        if not all(_gains(first, options[smaller]) for smaller in kept):
            continue
        kept.append(index)
        wider = [i for i, o in timed if o.gpus == gpus and _bits(o) > _FEW_BITS >= _bits(first)]
        kept += sorted(wider, key=lambda i: (options[i].format not in _MADE_ON_LOAD, i))[:1]
    return tuple(kept)


def _bits(option: Option) -> int:
    return choice(option.format).weight.element.bits


def _gains(larger: Option, smaller: Option) -> bool:
    """Whether more GPUs shorten a single stream, serve more tokens with each GPU, or hold wider weights."""
    assert larger.single is not None, "the frontier has timed options only"
    assert smaller.single is not None, "the frontier has timed options only"
    quicker = larger.single.seconds < smaller.single.seconds or _speed(larger) > _speed(smaller)
    return quicker or _bits(larger) > _bits(smaller)


def _speed(option: Option) -> float:
    assert option.tokens_per_s is not None, "options without a rate are left out before"
    return option.tokens_per_s / option.gpus


def _measure(option: Option, request: AdviceOptions, model: Model) -> _Ranked:
    assert option.decode is not None, "an option with a rate was timed"
    total = option.decode.total
    scheme, cache = choice(option.format), kv_format(option.kv)
    native = option.format == (model.native_format or "bf16")
    speed = _speed(option)
    deployment = float(option.total_gpus or option.gpus)
    made = option.format not in _MADE_ON_LOAD
    widths = (-scheme.weight.element.bits, weight_only(scheme), made, -cache.element.bits)
    preference = (deployment, not native, *widths, -speed)
    modeled = next(iter(option.decode.linear_shares)) == "modeled"
    if request.tokens_per_day is not None:
        return _Ranked(option, modeled, deployment, deployment, deployment, preference)
    effort = 1 / speed
    low, high = (effort * bound / total.seconds for bound in (total.low, total.high))
    return _Ranked(option, modeled, effort, low, high, preference)


def _equal(one: _Ranked, best: _Ranked) -> bool:
    """Whether two options are closer than their own errors."""
    if one.modeled != best.modeled:
        return False
    return one.low <= best.high and best.low <= one.high


def _shortfall(option: Option) -> tuple[float, ...]:
    took = option.decode.total.seconds if option.decode else float("inf")
    return float(option.decode is None), option.gpus, took
