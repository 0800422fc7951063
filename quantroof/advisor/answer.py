"""From a question as it was typed to the advisor's answer."""

from __future__ import annotations

from quantroof.advisor.advice import Advice, AdviceOptions
from quantroof.advisor.choices import choice, kv_format
from quantroof.advisor.cost import Price, read_prices, stated_price
from quantroof.advisor.decision import advise
from quantroof.advisor.linear_time import Assumptions
from quantroof.advisor.machine import Machine
from quantroof.advisor.memory import Reserve
from quantroof.advisor.model_lookup import model
from quantroof.advisor.models import Model
from quantroof.advisor.quantities import count, counts, milliseconds, seconds, tokens
from quantroof.advisor.question import Question
from quantroof.advisor.sources import machine_and_times, with_link
from quantroof.errors import UsageError


def subject(question: Question) -> Model:
    """The model that the question is about."""
    if question.model_name is None:
        hint = "--model llama-3.1-8b or the path of a config.json; `quantroof list models` has every name"
        raise UsageError("needs a model", where="advise", hint=hint)
    return model(question.model_name)


def answer(question: Question) -> Advice:
    """The ranked options, from the catalog or from the measurements of a run."""
    architecture = subject(question)
    machine, table = machine_and_times(question.gpu, question.run_path)
    machine = with_link(machine, question.link_gbps, question.link_latency)
    return advise(architecture, machine, table, request(question), _price(question, machine))


def request(question: Question) -> AdviceOptions:
    """Targets and assumptions as numbers; UsageError names the option that is not one."""
    formats = tuple(choice(n.strip()).name for n in question.formats.split(",")) if question.formats else ()
    kv_format(question.kv or "fp16")
    reserve, assumed = Reserve(), Assumptions()
    context, output = (
        tokens(question.context, "--context"),
        tokens(question.output, "--output") if question.output else None,
    )
    if output is not None and output >= context:
        raise UsageError(
            f"{output} tokens leave no room for a prompt in --context {context}", where="--output"
        )
    return AdviceOptions(
        context=context,
        latency_s=milliseconds(question.latency, "--latency") if question.latency else None,
        first_token_s=seconds(question.first_token, "--first-token") if question.first_token else None,
        tokens_per_day=count(question.tokens_per_day, "--tokens-per-day")
        if question.tokens_per_day
        else None,
        formats=formats,
        output=output,
        gpu_counts=counts(question.gpus, "--gpus"),
        kv=question.kv or "fp16",
        kv_choices=("fp16", "fp8") if question.kv is None else (question.kv,),
        reserve=Reserve(utilization=question.memory_share or reserve.utilization),
        assumptions=Assumptions(
            memory_efficiency=question.efficiency or assumed.memory_efficiency,
            launch_s=(question.launch_us or 0.0) * 1e-6,
        ),
    )


def _price(question: Question, machine: Machine) -> Price | None:
    if question.price is not None and question.prices is not None:
        raise UsageError("--price and --prices exclude each other")
    if question.price is not None:
        return stated_price(machine.id, question.price)
    if question.prices is None:
        return None
    prices = read_prices(question.prices)
    if machine.id not in prices:
        priced = ", ".join(sorted(prices))
        raise UsageError(f"has no price for {machine.id}", where=question.prices, hint=f"it prices {priced}")
    return prices[machine.id]
