"""`quantroof advise`: which format on how many GPUs serves a model within a latency, and what it costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.numbers import NOT_NEGATIVE, POSITIVE, SHARE
from quantroof.cli.output import echo_json, json_option
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.advisor.advice import Advice, Option, Request
    from quantroof.advisor.cost import Price
    from quantroof.advisor.machine import Machine

# The figures a plan rests on; None keeps the stated assumption.
_ASSUMED = [
    click.option("--kv", default="fp16", help="KV cache: fp16, fp8, int8 or int4."),
    click.option("--gpus", default="1,2,4,8", help="GPU counts to try, as a list."),
    click.option("--memory-share", type=SHARE, help="Share of memory an engine takes."),
    click.option("--efficiency", type=SHARE, help="Modelled share of the bandwidth."),
    click.option("--launch-us", type=NOT_NEGATIVE, help="Launch of a kernel; 0 under CUDA graphs."),
    click.option("--link-gbps", type=POSITIVE, help="Link between GPUs, one direction."),
    click.option("--link-latency", type=NOT_NEGATIVE, help="Microseconds an all-reduce takes at least."),
]


def _assumptions(function: Any) -> Any:
    for option in reversed(_ASSUMED):
        function = option(function)
    return function


@click.command("advise", context_settings={"show_default": True})
@click.option("--model", "model_name", required=True, help="A model's id, or the path of a config.json.")
@click.option("--gpu", help="A profile's id, or a device of the run.")
@click.option("--run", "run_path", type=click.Path(path_type=Path), help="This node's measurements.")
@click.option("--context", default="4096", help="Tokens of a sequence.")
@click.option("--latency", help="Target for one token, like 50ms.")
@click.option("--first-token", help="Target for the prompt, like 2s.")
@click.option("--tokens-per-day", help="Generated tokens a day, like 10M.")
@click.option("--formats", help="Formats to weigh, as a list.  [default: all that are served]")
@click.option("--price", type=NOT_NEGATIVE, help="Dollars an hour of one such GPU.")
@click.option("--prices", help="A price file, or `examples` for the shipped, dated ones.")
@_assumptions
@click.option("--explain", "explained", is_flag=True, help="Every formula with its numbers.")
@click.option("--emit", type=click.Choice(["vllm"]), help="The command that serves the chosen option.")
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@json_option
def command(*, explained: bool, emit: str | None, markdown: bool, as_json: bool, **given: Any) -> int:
    """Rank formats and GPU counts for a model.

    Times are the node's own where --run has them, else modelled from the profile; the answer says which.
    Exit code 1 says that nothing meets the targets.

    \b
    quantroof advise --model llama-3.1-70b --gpu a100-sxm4-80gb --latency 50ms --tokens-per-day 10M
    quantroof advise --model config.json --run runs/run-... --explain --emit vllm
    """
    from quantroof.reports.text.advice_lines import print_advice

    if markdown and as_json:
        raise UsageError("--markdown and --json exclude each other")
    advice = _answer(given)
    shown = advice.choice or next((o for o in advice.options if o.decode is not None), None)
    if as_json:
        echo_json("advice", _document(advice, shown, explained=explained, emit=emit))
    else:
        print_advice(advice, shown, explained=explained, emit=emit, markdown=markdown)
    if advice.refusal is not None:
        click.echo(f"error: {advice.refusal}", err=True)
        return ExitCode.FINDING
    return ExitCode.OK


def _answer(given: dict[str, Any]) -> Advice:
    from quantroof.advisor.decision import advise
    from quantroof.advisor.models import model
    from quantroof.advisor.sources import machine_and_times, with_link

    architecture = model(given["model_name"])
    machine, table = machine_and_times(given["gpu"], given["run_path"])
    machine = with_link(machine, given["link_gbps"], given["link_latency"])
    return advise(architecture, machine, table, _request(given), _price(given, machine))


def _request(given: dict[str, Any]) -> Request:
    from quantroof.advisor.advice import Request
    from quantroof.advisor.choices import DEFAULT, choice, kv_format
    from quantroof.advisor.linear_time import Assumptions
    from quantroof.advisor.memory import Reserve
    from quantroof.advisor.quantities import count, counts, seconds, tokens

    formats = (
        tuple(choice(n.strip()).name for n in given["formats"].split(",")) if given["formats"] else DEFAULT
    )
    kv_format(given["kv"])
    reserve, assumed = Reserve(), Assumptions()
    return Request(
        context=tokens(given["context"], "--context"),
        latency_s=seconds(given["latency"], "--latency") if given["latency"] else None,
        first_token_s=seconds(given["first_token"], "--first-token") if given["first_token"] else None,
        tokens_per_day=count(given["tokens_per_day"], "--tokens-per-day")
        if given["tokens_per_day"]
        else None,
        formats=formats,
        gpu_counts=counts(given["gpus"], "--gpus"),
        kv=given["kv"],
        reserve=Reserve(utilisation=given["memory_share"] or reserve.utilisation),
        assumptions=Assumptions(
            memory_efficiency=given["efficiency"] or assumed.memory_efficiency,
            launch_s=(given["launch_us"] or 0.0) * 1e-6,
        ),
    )


def _price(given: dict[str, Any], machine: Machine) -> Price | None:
    from quantroof.advisor.cost import read_prices, stated_price

    if given["price"] is not None and given["prices"] is not None:
        raise UsageError("--price and --prices exclude each other")
    if given["price"] is not None:
        return stated_price(machine.id, given["price"])
    if given["prices"] is None:
        return None
    prices = read_prices(given["prices"])
    if machine.id not in prices:
        priced = ", ".join(sorted(prices))
        raise UsageError(f"has no price for {machine.id}", where=given["prices"], hint=f"it prices {priced}")
    return prices[machine.id]


def _document(advice: Advice, shown: Option | None, *, explained: bool, emit: str | None) -> dict[str, Any]:
    import msgspec

    from quantroof.advisor.explain import explain
    from quantroof.advisor.launch import vllm

    document: dict[str, Any] = msgspec.to_builtins(advice)
    if shown is not None and explained:
        document["explanation"] = msgspec.to_builtins(explain(advice, shown))
    if shown is not None and emit is not None:
        launch = vllm(advice, shown)
        document["launch"] = {**msgspec.to_builtins(launch), "command": launch.command}
    return document
