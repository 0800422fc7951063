"""Answer a question: ranked options, facts about each format, and curves."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from quantroof.advisor.advice import FITTING, Advice, AdviceOptions, Curve, CurvePoint, Option
from quantroof.advisor.caveats import cannot_run
from quantroof.advisor.choices import choice
from quantroof.advisor.cost import Price
from quantroof.advisor.formats_on_gpu import formats_on_gpu
from quantroof.advisor.linear_time import Timer
from quantroof.advisor.machine import Machine
from quantroof.advisor.models import Model
from quantroof.advisor.options import OptionEvaluator
from quantroof.advisor.proposals import proposed
from quantroof.advisor.ranking import frontier, ranked
from quantroof.advisor.step import Step
from quantroof.advisor.timings import TimingTable
from quantroof.errors import UsageError

CURVE_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


def advise(
    model: Model, machine: Machine, table: TimingTable, request: AdviceOptions, price: Price | None
) -> Advice:
    """Evaluate every format on every GPU count and rank them. UsageError if the context is too long."""
    check_context(model, request)
    counts = request.gpu_counts if machine.is_gpu else (1,)
    formats = request.formats or proposed(model, machine, frozenset(table.points))
    request = msgspec.structs.replace(request, formats=formats)
    timer = Timer(machine, table, request.assumptions)
    evaluators = [_evaluator(model, request, timer, price, kv) for kv in _caches(request, machine)]
    evaluator = evaluators[0]
    options = ranked(_options(evaluators, counts), request, model)
    fits = bool(options) and options[0].verdict in FITTING
    best = 0 if fits and request.has_targets else None
    refusal = table.unusable or (None if fits else _refusal(evaluator, options))
    return Advice(
        request=request,
        model=model,
        machine=machine,
        options=tuple(options),
        best=best,
        frontier=frontier(options) if fits and not request.has_targets else (),
        refusal=refusal,
        unusable=table.unusable,
        formats=formats_on_gpu(machine, table, request.formats),
        curves=tuple(_curves(evaluator, counts)),
        price=price,
        remarks=tuple(_remarks(model, machine, table, formats)),
    )


def check_context(model: Model, request: AdviceOptions) -> None:
    """UsageError if the context is longer than the model's."""
    if model.max_context is not None and request.context > model.max_context:
        what = f"a context of {request.context} tokens is beyond the {model.max_context} of {model.id}"
        raise UsageError(what, where="--context")


def _evaluator(
    model: Model, request: AdviceOptions, timer: Timer, price: Price | None, kv: str
) -> OptionEvaluator:
    return OptionEvaluator(model, msgspec.structs.replace(request, kv=kv), timer, price)


def _caches(request: AdviceOptions, machine: Machine) -> tuple[str, ...]:
    """The cache formats to try: a narrower one only where the GPU multiplies fp8."""
    if not machine.is_gpu or machine.multiplies_fp8 is False:
        return request.kv_choices[:1] or (request.kv,)
    return request.kv_choices or (request.kv,)


def _options(evaluators: list[OptionEvaluator], counts: tuple[int, ...]) -> list[Option]:
    """Every format on every GPU count with every cache; a format that cannot run at all is listed once."""
    options = []
    for name in evaluators[0].request.formats:
        runs = cannot_run(choice(name), evaluators[0].timer.machine) is None
        for gpus in counts if runs else counts[:1]:
            first, *others = (evaluator.evaluate(name, gpus) for evaluator in evaluators)
            options += [first, *(option for option in others if option.decode is not None)]
    return options


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
        return (
            f"no format and GPU count holds {model} on {machine.name}: {longest.reasons[0]};"
            " take more GPUs (--gpus) or a GPU with more memory"
        )
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


def _remarks(model: Model, machine: Machine, table: TimingTable, formats: tuple[str, ...]) -> Iterable[str]:
    if machine.simulated:
        yield "SIMULATED: these times come from a simulated device; they are not a result"
    if table.imported is not None:
        yield f"imported, not measured on this node: {table.imported}; bursts on somebody else's machine"
    if not table.points:
        yield (
            f"kernels that others timed model these times of {machine.name}; published serving times give "
            "their bands, and --run takes times of this node"
        )
    else:
        yield "attention, all-reduces and what was not measured are modeled by kernels that others timed"
    if not model.verified:
        yield f"the sizes of {model.id} are not from its official config.json: {model.note or model.source}"
    if machine.link is not None and machine.is_gpu:
        link, least = machine.link, machine.link.latency_s * 1e6
        yield f"GPUs communicate over {link.kind} ({link.source}); an all-reduce takes at least {least:g} us"
    dips, worst = table.dips(formats)
    if worst is not None:
        more = f" ({dips - 1} more such cases)" if dips > 1 else ""
        yield f"a larger batch was measured faster than a smaller one: {worst}{more}"
