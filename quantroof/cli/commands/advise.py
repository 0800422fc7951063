"""`quantroof advise`: which format on how many GPUs serves a model within a latency, and what it costs."""

from __future__ import annotations

import click

from quantroof.advisor.question import Question
from quantroof.cli.advise_check import SHIPPED, check_points
from quantroof.cli.options import FILE, NOT_NEGATIVE, POSITIVE, SHARE, as_struct, with_options
from quantroof.cli.output import echo_json, echo_lines, json_option
from quantroof.errors import ExitCode, UsageError

# The figures a plan rests on; None keeps the stated assumption.
_assumptions = with_options(
    click.option("--output", help="Tokens that a request generates.  [default: a quarter of the context]"),
    click.option(
        "--kv",
        help="Format of the KV cache: fp16, fp8, int8 or int4.  [default: fp16, and fp8 where it runs]",
    ),
    click.option("--gpus", default="1,2,4,8", help="GPU counts to try, as a list."),
    click.option("--memory-share", type=SHARE, help="Share of the memory that the engine may use."),
    click.option("--efficiency", type=SHARE, help="Share of the bandwidth that the model assumes."),
    click.option(
        "--launch-us", type=NOT_NEGATIVE, help="Microseconds per kernel launch; 0 with CUDA graphs."
    ),
    click.option("--link-gbps", type=POSITIVE, help="Bandwidth between GPUs, one direction."),
    click.option("--link-latency", type=NOT_NEGATIVE, help="Least microseconds of an all-reduce."),
)


@click.command("advise", context_settings={"show_default": True})
@click.option("--model", "model_name", help="A model's id, or the path of a config.json.")
@click.option("--gpu", help="A GPU, several (a,b), all, or a device of the run.")
@click.option(
    "--run", "run_path", type=FILE, help="A run of this node or `latest`: its times replace modeled ones."
)
@click.option("--context", default="4096", help="Tokens per sequence.")
@click.option("--latency", help="Latency target per token, such as 50ms; a bare number is ms.")
@click.option("--first-token", help="Latency target for the prompt, such as 2s.")
@click.option("--tokens-per-day", help="Generated tokens per day, such as 10M.")
@click.option("--formats", help="Formats to compare, as a list.  [default: all that are served]")
@click.option("--price", type=NOT_NEGATIVE, help="Dollars per hour for one such GPU.")
@click.option("--prices", help="A price file, or `examples` for the shipped, dated ones.")
@_assumptions
@click.option("--explain", "explained", is_flag=True, help="Print every formula with its numbers.")
@click.option(
    "--emit",
    type=click.Choice(["vllm", "sglang", "trtllm"]),
    help="Print the command that serves the answer.",
)
@click.option("--all", "all_rows", is_flag=True, help="Every option, not only the first five rows.")
@click.option(
    "--check",
    "points",
    is_flag=False,
    flag_value=SHIPPED,
    metavar="[POINTS]",
    help="The advisor's own error against served points: of the package, a CSV file, or the JSON of "
    "guidellm, `vllm bench serve`, AIPerf or InferenceX.",
)
@click.option("--markdown", is_flag=True, help="Print Markdown.")
@json_option
@as_struct(Question)
def command(
    flags: Question,
    *,
    explained: bool,
    emit: str | None,
    all_rows: bool,
    points: str | None,
    markdown: bool,
    as_json: bool,
) -> int:
    """Rank formats and GPU counts for a model.

    Options whose error bands overlap count as equal: among them fewer GPUs come first, then the checkpoint's
    own format, then wider weights. Without targets the best option of each useful GPU count is shown.

    Times come from --run where it measured them, else from a model of the GPU; each is labeled.
    Exit code 1 means that nothing fits the targets, 4 that the run may not be used.

    \b
    quantroof advise --model llama-3.1-70b --gpu a100-sxm4-80gb --latency 50ms --tokens-per-day 10M
    quantroof advise --model config.json --run runs/run-... --explain --emit vllm
    quantroof advise --model llama-3.1-8b --gpu l4,l40s,h100-sxm5-80gb --prices examples
    quantroof advise --check [--run runs/imported-b200]
    quantroof advise --check vllm_bench.json --gpu h200-sxm --gpus 2 --model llama-3.1-70b --formats fp8-w8a8
    """
    from quantroof.advisor.answer import answer
    from quantroof.reports.text.advice_lines import View, advice_document, advice_lines, advice_markdown

    if markdown and as_json:
        raise UsageError("--markdown and --json exclude each other")
    if points is not None and (emit or explained):
        raise UsageError("--check takes --run, --json or --markdown, and nothing else", where="advise")
    if points is not None:
        return check_points(points, flags, as_json=as_json, markdown=markdown)
    if _several(flags.gpu) and (emit or explained):
        raise UsageError("--emit and --explain take one GPU", where="--gpu")
    if _several(flags.gpu):
        return compare_gpus(flags, as_json=as_json, markdown=markdown)
    advice = answer(flags)
    option = advice.shown if advice.unusable is None else None
    view = View(all_rows=all_rows, explained=explained, engine=emit)
    if as_json:
        echo_json("advice", advice_document(advice, option, view))
    elif markdown:
        click.echo(advice_markdown(advice, option, view), nl=False)
    else:
        echo_lines(advice_lines(advice, option, view))
    if advice.refusal is not None:
        click.echo(f"error: {advice.refusal}", err=True)
        return ExitCode.UNDECIDED if advice.unusable is not None else ExitCode.FINDING
    return ExitCode.OK


def _several(gpu: str | None) -> bool:
    """Whether `--gpu` names a list, or all; a GPU by its figures has commas too."""
    return gpu is not None and "=" not in gpu and (gpu == "all" or "," in gpu)


def compare_gpus(flags: Question, *, as_json: bool, markdown: bool) -> int:
    """One table of several GPUs. Exit code 1 means that the model fits on none."""
    import msgspec

    from quantroof.advisor.answer import request, subject
    from quantroof.advisor.comparison import compare
    from quantroof.advisor.cost import read_prices
    from quantroof.advisor.sources import machines_named, with_link
    from quantroof.reports.text.comparison_of_gpus import comparison_lines, comparison_markdown

    if flags.run_path is not None:
        raise UsageError("--run is about one device, and --gpu names several")
    if flags.price is not None:
        raise UsageError("--price is the price of one GPU", hint="--prices FILE or --prices examples")
    assert flags.gpu is not None
    architecture, question = subject(flags), request(flags)
    machines = [with_link(m, flags.link_gbps, flags.link_latency) for m in machines_named(flags.gpu)]
    rows = compare(architecture, machines, question, read_prices(flags.prices) if flags.prices else {})
    if as_json:
        echo_json("advice-comparison", {"model": architecture.id, "gpus": msgspec.to_builtins(rows)})
    elif markdown:
        click.echo(comparison_markdown(architecture, question, rows), nl=False)
    else:
        echo_lines(comparison_lines(architecture, question, rows))
    return ExitCode.OK if rows[0].option is not None else ExitCode.FINDING
