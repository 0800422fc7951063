"""`quantroof advise`: which format on how many GPUs serves a model within a latency, and what it costs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.advise_check import SHIPPED, check_points
from quantroof.cli.options import FILE, NOT_NEGATIVE, POSITIVE, SHARE, as_struct, with_options
from quantroof.cli.output import echo_json, echo_lines, json_option
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.advisor.advice import Advice, AdviceOptions
    from quantroof.advisor.cost import Price
    from quantroof.advisor.machine import Machine
    from quantroof.advisor.models import Model

# The figures a plan rests on; None keeps the stated assumption.
_assumptions = with_options(
    click.option("--output", help="Tokens that a request generates.  [default: a quarter of the context]"),
    click.option(
        "--kv",
        help="Format of the KV cache: fp16, fp8, int8 or int4.  [default: fp16, and fp8 where it runs]",
    ),
    click.option("--gpus", default="1,2,4,8", help="GPU counts to try, as a list."),
    click.option("--memory-share", type=SHARE, help="Share of the memory that the engine takes."),
    click.option("--efficiency", type=SHARE, help="Share of the bandwidth that the model assumes."),
    click.option(
        "--launch-us", type=NOT_NEGATIVE, help="Microseconds per kernel launch; 0 with CUDA graphs."
    ),
    click.option("--link-gbps", type=POSITIVE, help="Bandwidth between GPUs, one direction."),
    click.option("--link-latency", type=NOT_NEGATIVE, help="Least microseconds of an all-reduce."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdviseFlags:
    """The question, as it was typed."""

    model_name: str | None
    gpu: str | None
    run_path: Path | None
    context: str
    latency: str | None
    first_token: str | None
    tokens_per_day: str | None
    formats: str | None
    price: float | None
    prices: str | None
    output: str | None
    kv: str | None
    gpus: str
    memory_share: float | None
    efficiency: float | None
    launch_us: float | None
    link_gbps: float | None
    link_latency: float | None


@click.command("advise", context_settings={"show_default": True})
@click.option("--model", "model_name", help="A model's id, or the path of a config.json.")
@click.option("--gpu", help="A GPU, several (a,b), all, or a device of the run.")
@click.option("--run", "run_path", type=FILE, help="This node's measurements.")
@click.option("--context", default="4096", help="Tokens per sequence.")
@click.option("--latency", help="Latency target per token, such as 50ms.")
@click.option("--first-token", help="Latency target for the prompt, such as 2s.")
@click.option("--tokens-per-day", help="Generated tokens per day, such as 10M.")
@click.option("--formats", help="Formats to compare, as a list.  [default: all that are served]")
@click.option("--price", type=NOT_NEGATIVE, help="Dollars per hour for one such GPU.")
@click.option("--prices", help="A price file, or `examples` for the shipped, dated ones.")
@_assumptions
@click.option("--explain", "explained", is_flag=True, help="Every formula with its numbers.")
@click.option(
    "--emit",
    type=click.Choice(["vllm", "sglang", "trtllm"]),
    help="The command that serves the shown option.",
)
@click.option("--all", "all_rows", is_flag=True, help="Every option, not only the first five rows.")
@click.option(
    "--check",
    "points",
    is_flag=False,
    flag_value=SHIPPED,
    metavar="[POINTS.csv]",
    help="The advisor's own error against published points: those of a file, or of the package.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@json_option
@as_struct(AdviseFlags)
def command(
    flags: AdviseFlags,
    *,
    explained: bool,
    emit: str | None,
    all_rows: bool,
    points: str | None,
    markdown: bool,
    as_json: bool,
) -> int:
    """Rank formats and GPU counts for a model.

    Options within one another's error are equal: then the smallest deployment is first, the checkpoint's own
    format, the widest weights. Without targets nothing decides, and the answer is the set that pays.

    Times are measured ones where --run has them, else modeled from the profile; each is labeled.
    Exit code 1 means that nothing fits the targets, 4 that the run may not be used.

    \b
    quantroof advise --model llama-3.1-70b --gpu a100-sxm4-80gb --latency 50ms --tokens-per-day 10M
    quantroof advise --model config.json --run runs/run-... --explain --emit vllm
    quantroof advise --model llama-3.1-8b --gpu l4,l40s,h100-sxm5-80gb --prices examples
    quantroof advise --check
    """
    from quantroof.reports.text.advice_lines import Wanted, advice_document, advice_lines, advice_markdown

    if markdown and as_json:
        raise UsageError("--markdown and --json exclude each other")
    if points is not None and (flags.model_name or flags.gpu or flags.run_path or emit or explained):
        raise UsageError("--check takes --json or --markdown, and nothing else", where="advise")
    if points is not None:
        return check_points(points, as_json=as_json, markdown=markdown)
    if _several(flags.gpu) and (emit or explained):
        raise UsageError("--emit and --explain take one GPU", where="--gpu")
    if _several(flags.gpu):
        return compare_gpus(flags, as_json=as_json, markdown=markdown)
    advice = _answer(flags)
    option = advice.shown if advice.unusable is None else None
    wanted = Wanted(all_rows=all_rows, explained=explained, engine=emit)
    if as_json:
        echo_json("advice", advice_document(advice, option, wanted))
    elif markdown:
        click.echo(advice_markdown(advice, option, wanted), nl=False)
    else:
        echo_lines(advice_lines(advice, option, wanted))
    if advice.refusal is not None:
        click.echo(f"error: {advice.refusal}", err=True)
        return ExitCode.UNDECIDED if advice.unusable is not None else ExitCode.FINDING
    return ExitCode.OK


def _several(gpu: str | None) -> bool:
    """Whether `--gpu` names a list, or all; a GPU by its figures has commas too."""
    return gpu is not None and "=" not in gpu and (gpu == "all" or "," in gpu)


def compare_gpus(flags: AdviseFlags, *, as_json: bool, markdown: bool) -> int:
    """One table of several GPUs. Exit code 1 means that the model fits on none."""
    import msgspec

    from quantroof.advisor.comparison import compare
    from quantroof.advisor.cost import read_prices
    from quantroof.advisor.sources import machines_named, with_link
    from quantroof.reports.text.comparison_of_gpus import comparison_lines, comparison_markdown

    if flags.run_path is not None:
        raise UsageError("--run is about one device, and --gpu names several")
    if flags.price is not None:
        raise UsageError("--price is the price of one GPU", hint="--prices FILE or --prices examples")
    assert flags.gpu is not None
    subject, request = _model(flags), _request(flags)
    machines = [with_link(m, flags.link_gbps, flags.link_latency) for m in machines_named(flags.gpu)]
    rows = compare(subject, machines, request, read_prices(flags.prices) if flags.prices else {})
    if as_json:
        echo_json("advice-comparison", {"model": subject.id, "gpus": msgspec.to_builtins(rows)})
    elif markdown:
        click.echo(comparison_markdown(subject, request, rows), nl=False)
    else:
        echo_lines(comparison_lines(subject, request, rows))
    return ExitCode.OK if rows[0].option is not None else ExitCode.FINDING


def _model(flags: AdviseFlags) -> Model:
    from quantroof.advisor.model_lookup import model

    if flags.model_name is None:
        raise UsageError("no model is named", where="--model", hint="--model llama-3.1-8b, or a config.json")
    return model(flags.model_name)


def _answer(flags: AdviseFlags) -> Advice:
    from quantroof.advisor.decision import advise
    from quantroof.advisor.sources import machine_and_times, with_link

    architecture = _model(flags)
    machine, table = machine_and_times(flags.gpu, flags.run_path)
    machine = with_link(machine, flags.link_gbps, flags.link_latency)
    return advise(architecture, machine, table, _request(flags), _price(flags, machine))


def _request(flags: AdviseFlags) -> AdviceOptions:
    from quantroof.advisor.advice import AdviceOptions
    from quantroof.advisor.choices import choice, kv_format
    from quantroof.advisor.linear_time import Assumptions
    from quantroof.advisor.memory import Reserve
    from quantroof.advisor.quantities import count, counts, seconds, tokens

    formats = tuple(choice(n.strip()).name for n in flags.formats.split(",")) if flags.formats else ()
    kv_format(flags.kv or "fp16")
    reserve, assumed = Reserve(), Assumptions()
    context, output = (
        tokens(flags.context, "--context"),
        tokens(flags.output, "--output") if flags.output else None,
    )
    if output is not None and output >= context:
        raise UsageError(
            f"{output} tokens leave no room for a prompt in --context {context}", where="--output"
        )
    return AdviceOptions(
        context=context,
        latency_s=seconds(flags.latency, "--latency") if flags.latency else None,
        first_token_s=seconds(flags.first_token, "--first-token") if flags.first_token else None,
        tokens_per_day=count(flags.tokens_per_day, "--tokens-per-day") if flags.tokens_per_day else None,
        formats=formats,
        output=output,
        gpu_counts=counts(flags.gpus, "--gpus"),
        kv=flags.kv or "fp16",
        kv_choices=("fp16", "fp8") if flags.kv is None else (flags.kv,),
        reserve=Reserve(utilization=flags.memory_share or reserve.utilization),
        assumptions=Assumptions(
            memory_efficiency=flags.efficiency or assumed.memory_efficiency,
            launch_s=(flags.launch_us or 0.0) * 1e-6,
        ),
    )


def _price(flags: AdviseFlags, machine: Machine) -> Price | None:
    from quantroof.advisor.cost import read_prices, stated_price

    if flags.price is not None and flags.prices is not None:
        raise UsageError("--price and --prices exclude each other")
    if flags.price is not None:
        return stated_price(machine.id, flags.price)
    if flags.prices is None:
        return None
    prices = read_prices(flags.prices)
    if machine.id not in prices:
        priced = ", ".join(sorted(prices))
        raise UsageError(f"has no price for {machine.id}", where=flags.prices, hint=f"it prices {priced}")
    return prices[machine.id]
