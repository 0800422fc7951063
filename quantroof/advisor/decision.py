"""Answer a question: ranked options, facts about each format, and curves."""

from __future__ import annotations

from collections.abc import Iterable

from quantroof.advisor.advice import FITTING, Advice, AdviceOptions, Curve, CurvePoint, Option
from quantroof.advisor.caveats import cannot_run
from quantroof.advisor.choices import choice
from quantroof.advisor.cost import Price
from quantroof.advisor.formats_on_gpu import formats_on_gpu
from quantroof.advisor.linear_time import Timer
from quantroof.advisor.machine import Machine
from quantroof.advisor.models import Model
from quantroof.advisor.options import OptionEvaluator
from quantroof.advisor.step import Step
from quantroof.advisor.timings import TimingTable
from quantroof.errors import UsageError

CURVE_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def advise(
    model: Model, machine: Machine, table: TimingTable, request: AdviceOptions, price: Price | None
) -> Advice:
    """Evaluate every format on every GPU count and rank them. UsageError if the context is too long."""
    if model.max_context is not None and request.context > model.max_context:
        what = f"a context of {request.context} tokens is beyond the {model.max_context} of {model.id}"
        raise UsageError(what, where="--context")
    counts = request.gpu_counts if machine.is_gpu else (1,)
    evaluator = OptionEvaluator(model, request, Timer(machine, table, request.assumptions), price)
    options = [option for name in request.formats for option in _options(evaluator, name, counts)]
    options.sort(key=lambda option: _rank(option, request))
    best = 0 if options and options[0].verdict in FITTING else None
    refusal = table.unusable or (_refusal(evaluator, options) if best is None else None)
    return Advice(
        request=request,
        model=model,
        machine=machine,
        options=tuple(options),
        best=best,
        refusal=refusal,
        unusable=table.unusable,
        formats=formats_on_gpu(machine, table, request.formats),
        curves=tuple(_curves(evaluator, counts)),
        price=price,
        remarks=tuple(_remarks(model, machine, table)),
    )


def _options(evaluator: OptionEvaluator, name: str, counts: tuple[int, ...]) -> list[Option]:
    """A format on every GPU count, or on the first alone where no count can help it."""
    if cannot_run(choice(name), evaluator.timer.machine) is not None:
        counts = counts[:1]
    return [evaluator.evaluate(name, gpus) for gpus in counts]


def _rank(option: Option, request: AdviceOptions) -> tuple[float, ...]:
    """Those that meet the targets, surely or likely; measured before modeled; then fewest GPUs for the load,
    or most tokens per GPU without a load.

    Ties go to what meets surely, to the widest weights, for quality, then to the most tokens per GPU.
    """
    if option.verdict == "misses" or option.decode is None or option.tokens_per_s is None:
        took = option.decode.total.seconds if option.decode else float("inf")
        return 2.0, float(option.decode is None), option.gpus, took
    bits = choice(option.format).weight.element.bits
    total = option.total_gpus or option.gpus
    speed = option.tokens_per_s / option.gpus
    effort = float(total) if request.tokens_per_day is not None else -speed
    modeled = next(iter(option.decode.linear_shares)) == "modeled"
    return 0.0, float(modeled), effort, float(option.verdict == "likely"), -bits, -speed


def _refusal(evaluator: OptionEvaluator, options: list[Option]) -> str:
    """Why nothing meets the targets, and what would be possible."""
    timed = [o for o in options if o.decode is not None]
    model, machine = evaluator.model.id, evaluator.timer.machine.name
    if not timed:
        return _nothing_runs(evaluator, options)
    best = min(timed, key=lambda o: evaluator.decode(o.format, o.gpus, 1).total.seconds)
    took = evaluator.decode(best.format, best.gpus, 1).total
    fastest = f"{best.format} on {evaluator.timer.machine.count(best.gpus)}"
    return (
        f"nothing meets the targets with {model} on {machine}; the fastest is {fastest}: "
        f"{took.seconds * 1e3:.2f} ms per token at batch 1 (roof {(took.floor or 0) * 1e3:.2f} ms)"
    )


def _nothing_runs(evaluator: OptionEvaluator, options: list[Option]) -> str:
    """Why no option could be timed: no kernel or no cut, else too little memory and what it would hold."""
    model, machine = evaluator.model.id, evaluator.timer.machine
    small = [option for option in options if option.memory.sequences == 0]
    longest = max(small, key=lambda o: o.memory.left_for_kv / o.memory.kv_per_sequence, default=None)
    if longest is None:
        return f"nothing serves {model} on {machine.name}: {options[0].reasons[0]}"
    if longest.memory.left_for_kv <= 0:
        return f"no format and GPU count holds {model} on {machine.name}: {longest.reasons[0]}"
    where = f"{longest.format} on {machine.count(longest.gpus)}"
    tokens = evaluator.longest_context(longest.format, longest.gpus)
    return f"no option holds one sequence of {evaluator.request.context} tokens; {where} would hold {tokens}"


def _curves(evaluator: OptionEvaluator, counts: Iterable[int]) -> Iterable[Curve]:
    """Each format on the fewest GPUs that hold it."""
    for name in evaluator.request.formats:
        for gpus in sorted(counts):
            option = evaluator.evaluate(name, gpus)
            if option.decode is None:
                continue
            batches = (batch for batch in CURVE_BATCHES if batch <= option.memory.sequences)
            points = [_curve_point(evaluator.decode(name, gpus, batch), batch) for batch in batches]
            yield Curve(format=name, gpus=gpus, points=tuple(points))
            break


def _curve_point(step: Step, batch: int) -> CurvePoint:
    return CurvePoint(
        batch=batch,
        seconds=step.total.seconds,
        low=step.total.low,
        high=step.total.high,
        source=next(iter(step.linear_shares)),
        sources=step.linear_words,
    )


def _remarks(model: Model, machine: Machine, table: TimingTable) -> Iterable[str]:
    if machine.simulated:
        yield "SIMULATED: these times come from a simulated device; they are not a result"
    if not table.points:
        yield (
            f"there are no measurements of {machine.name}: times are modeled by kernels that others timed, "
            "and their bands are those of published serving times"
        )
    else:
        yield "attention, all-reduces and what was not measured are modeled by kernels that others timed"
    if not model.verified:
        yield f"the sizes of {model.id} are not from its official config.json: {model.note or model.source}"
    if machine.link is not None and machine.is_gpu:
        link, least = machine.link, machine.link.latency_s * 1e6
        yield f"GPUs talk over {link.kind} ({link.source}); an all-reduce takes {least:g} us at least"
    dips, worst = table.dips()
    if worst is not None:
        yield f"kept as measured: {worst}" + (f"; and {dips - 1} more such cases" if dips > 1 else "")
