"""How the decision was reached: questions in order, each answered for this model and GPU with its evidence.

Questions follow the constraints: memory first, then speed; a memory-bound workload does not benefit from
faster matrix units.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from quantroof.advisor.advice import FITTING, Advice, Option
from quantroof.advisor.caveats import cannot_run
from quantroof.advisor.choices import choice, weight_only


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """One node: what is asked, the answer here, the figure it rests on, and what follows from it."""

    ask: str
    yes: bool
    evidence: str
    follows: str


def decision_flow(advice: Advice) -> tuple[Question, ...]:
    """The questions that lead to the recommendation, as far as they can be answered."""
    return tuple(_questions(advice))


def _questions(advice: Advice) -> Iterator[Question]:
    wide = _fewest_gpus(advice, "bf16") or _fewest_gpus(advice, "fp16")
    if wide is not None:
        yield _does_16_bit_fit(advice, wide)
    best = advice.shown
    if best is None or best.decode is None:
        return
    yield _do_bytes_bind(advice, best)
    yield _are_narrow_products_there(advice)
    yield _does_the_cache_dominate(best)
    yield _is_the_target_met(advice, best)
    yield _is_the_loss_known(best)


def _fewest_gpus(advice: Advice, name: str) -> Option | None:
    return min((o for o in advice.options if o.format == name), key=lambda o: o.gpus, default=None)


def _does_16_bit_fit(advice: Advice, wide: Option) -> Question:
    fit = wide.memory
    yes = fit.sequences > 0
    return Question(
        ask=f"Do 16-bit weights and one sequence fit {advice.machine.count(wide.gpus)}?",
        yes=yes,
        evidence=f"{fit.weights / 1e9:.1f} GB of weights, {fit.usable / 1e9:.1f} GB usable",
        follows="16 bit is an option" if yes else "narrower weights, or more GPUs",
    )


def _do_bytes_bind(advice: Advice, best: Option) -> Question:
    batch = best.load_batch or best.batch or 1
    narrow = next((r for r in advice.formats if r.format == "int4-w4a16" and r.ridge_batch), None)
    row = narrow or next(r for r in advice.formats if r.ridge_batch)
    assert row.ridge_batch is not None
    yes = batch < row.ridge_batch
    return Question(
        ask=f"Is the batch below the ridge of {row.format}?",
        yes=yes,
        evidence=f"batch {batch}, ridge {row.ridge_batch:.0f} ({row.format} computes in {row.computes_in})",
        follows="memory-bound: weight-only formats help"
        if yes
        else "compute-bound: only 8-bit arithmetic (W8A8) helps",
    )


def _are_narrow_products_there(advice: Advice) -> Question:
    native = [name for name in ("fp8-w8a8", "int8-w8a8") if cannot_run(choice(name), advice.machine) is None]
    return Question(
        ask="Does this device have 8-bit matrix instructions?",
        yes=bool(native),
        evidence=", ".join(
            f"{choice(name).compute.name} {rate.value / 1e12:.4g} T/s ({rate.basis})"
            for name in native
            if (rate := advice.machine.rate(choice(name).compute.name))
        )
        or "no rate known",
        follows=" or ".join(native) if native else "8-bit weights save bytes only",
    )


def _does_the_cache_dominate(best: Option) -> Question:
    assert best.decode is not None
    linear, attention = best.decode.part("linear").seconds, best.decode.part("attention").seconds
    yes = attention > linear
    return Question(
        ask=f"Does the KV cache take longer than the weights at batch {best.batch or 1}?",
        yes=yes,
        evidence=f"attention {attention * 1e3:.2f} ms, linear layers {linear * 1e3:.2f} ms",
        follows="a narrower cache (--kv fp8) comes first" if yes else "the weights' format decides",
    )


def _is_the_target_met(advice: Advice, best: Option) -> Question:
    assert best.decode is not None
    time, target = best.decode.total, advice.request.latency_s
    target_text = "fit and run" if target is None else f"meet {target * 1e3:g} ms"
    scheme = choice(best.format)
    kind = "weight-only" if weight_only(scheme) else "its own products"
    took = f"{time.seconds * 1e3:.2f} ms at batch {best.batch or 1}"
    return Question(
        ask=f"Does {best.format} on {advice.machine.count(best.gpus)} {target_text}?",
        yes=best.verdict in FITTING,
        evidence=f"{took} (linear layers {best.decode.linear_words}, {kind})",
        follows=_what_follows(advice, best),
    )


def _what_follows(advice: Advice, best: Option) -> str:
    if best.verdict not in FITTING:
        return "nothing meets the targets" if advice.best is None else "; ".join(best.reasons)
    return "take it" if advice.best is not None else "a target decides (--latency, --tokens-per-day)"


def _is_the_loss_known(best: Option) -> Question:
    element = choice(best.format).weight.element
    yes = element.bits > 8
    return Question(
        ask="Does it keep the accuracy of the checkpoint?",
        yes=yes,
        evidence=f"{best.format} stores {element.name} weights",
        follows="nothing to verify"
        if yes
        else "accuracy not verified: measure it on your own text before you ship",
    )
