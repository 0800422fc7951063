"""`quantroof quality endpoint`: a served model under load, beside what the advisor predicts."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import COUNT, FILE, Finite, as_struct, with_options
from quantroof.cli.output import echo_json, echo_rich, json_option, note
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.advisor.served import Predictor
    from quantroof.records.served import Served

_load_options = with_options(
    click.option("--model", help="The name it is served under."),
    click.option("--concurrency", default="1,4,16", help="Requests in flight at once, as a list."),
    click.option("--requests", type=COUNT, default=8, help="Requests per concurrent stream."),
    click.option("--seconds", type=Finite(1), default=120.0, help="Time limit per load."),
    click.option("--prompt-tokens", type=COUNT, default=256, help="Tokens per prompt."),
    click.option("--output-tokens", type=click.IntRange(2), default=64, help="Tokens per answer."),
    click.option("--tokenizer", help="Folder of its tokenizer, or a cached name.  [default: --model]"),
    click.option("--chat", is_flag=True, help="Use /v1/chat/completions, not /v1/completions."),
    click.option("--api-key-env", help="Environment variable that holds the key."),
    click.option(
        "--import", "imported", multiple=True, type=FILE, help="Read a result instead of measuring."
    ),
    click.option("--out", type=FILE, help="Write the records here."),
)
_prediction_options = with_options(
    click.option("--predict-for", "gpu", help="GPU whose prediction to show: a profile's id."),
    click.option("--run", "run_path", type=FILE, help="Predict from this run's measurements."),
    click.option("--as-model", help="The model to predict with: an id, or a config.json."),
    click.option("--format", "format_name", default="bf16", help="The format it is served in."),
    click.option("--gpus", type=COUNT, default=1, help="GPUs it is served on."),
    click.option("--kv", default="fp16", help="Its KV cache: fp16, fp8, int8 or int4."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFlags:
    """The load, or the results to read instead; and what to predict for."""

    model: str | None
    concurrency: str
    requests: int
    seconds: float
    prompt_tokens: int
    output_tokens: int
    tokenizer: str | None
    chat: bool
    api_key_env: str | None
    imported: tuple[Path, ...]
    gpu: str | None
    run_path: Path | None
    as_model: str | None
    format_name: str
    gpus: int
    kv: str


@click.command(
    "endpoint",
    short_help="A served model under load, beside its prediction.",
    context_settings={"show_default": True},
)
@click.argument("url", required=False)
@_load_options
@_prediction_options
@json_option
@as_struct(EndpointFlags)
def command(options: EndpointFlags, *, url: str | None, out: Path | None, as_json: bool) -> int:
    """Measure the OpenAI-compatible server at URL, or read a result of guidellm or `vllm bench serve`.

    Time to the first token, time per token and tokens per second at each concurrency; with --predict-for or
    --run, and --as-model, beside the advisor's prediction. Exit code 1 means that requests failed, or that
    none completed.
    """
    if (url is None) == (not options.imported):
        raise UsageError("give the URL of a server, or --import FILE", hint="one of the two")
    if out is not None and out.exists():
        raise UsageError("exists already", where=str(out), hint="choose another --out")
    predictor = _predictor(options)
    served = _measured(url, options) if url is not None else _imported(options)
    if out is not None:
        from quantroof.records.served import write_served

        write_served(out, served)
    _show(served, predictor, as_json=as_json)
    answered = all(load.completed and not load.failed for load in served.loads)
    return ExitCode.OK if answered else ExitCode.FINDING


def _imported(options: EndpointFlags) -> Served:
    from quantroof.quality.served.importing import read_results

    return read_results(options.imported)


def _measured(url: str, options: EndpointFlags) -> Served:
    from quantroof.quality.served import endpoint, load

    if options.model is None:
        raise UsageError("the name of the served model is missing", where=url, hint="give --model NAME")
    target = endpoint.Endpoint(
        endpoint.base_url(url), options.model, "chat" if options.chat else "completions", _key(options)
    )
    workload = load.Workload(
        concurrency=_numbers(options.concurrency),
        requests_per_stream=options.requests,
        prompt_tokens=options.prompt_tokens,
        output_tokens=options.output_tokens,
        seconds=options.seconds,
        tokenizer=options.tokenizer or options.model,
    )
    load.require_tool()
    full_length = endpoint.takes_ignore_eos(target)
    if not full_length:
        note("the server rejects ignore_eos: answers may be shorter than --output-tokens")
    note(f"loading {target.address} at concurrency {options.concurrency}, {workload.longest_s:.0f} s at most")
    return load.run(target, workload, ignore_eos=full_length)


def _key(options: EndpointFlags) -> str | None:
    name = options.api_key_env
    if name is None:
        return None
    key = os.environ.get(name)
    if not key:
        raise UsageError(f"the variable {name} is empty", where="--api-key-env")
    return key


def _numbers(text: str) -> tuple[int, ...]:
    from quantroof.advisor.quantities import counts

    return tuple(sorted(counts(text, "--concurrency")))


def _predictor(options: EndpointFlags) -> Predictor | None:
    """What to predict with, None if no prediction was asked for. Wrong names are refused before any load."""
    if options.gpu is None and options.run_path is None:
        if options.as_model is not None:
            raise UsageError("--as-model needs a GPU to predict for", hint="--predict-for GPU, or --run RUN")
        return None
    if options.as_model is None:
        raise UsageError(
            "a prediction needs the sizes of the model", hint="give --as-model ID, or its config.json"
        )
    from quantroof.advisor.choices import choice, kv_format
    from quantroof.advisor.model_lookup import model
    from quantroof.advisor.served import Predictor
    from quantroof.advisor.sources import machine_and_times

    architecture = model(options.as_model)
    machine, table = machine_and_times(options.gpu, options.run_path)
    name = choice(options.format_name).name
    kv_format(options.kv)
    return Predictor(architecture, machine, table, name, options.gpus, options.kv)


def _show(served: Served, predictor: Predictor | None, *, as_json: bool) -> None:
    from quantroof.reports.text import served_lines as lines

    predictions = [predictor.predict(load) for load in served.loads] if predictor else []
    if as_json:
        echo_json("quality-endpoint", lines.served_document(served, predictor, predictions))
    else:
        echo_rich([lines.load_table(served), *lines.failure_lines(served)])
        if predictor is not None:
            table = lines.prediction_table(predictor, predictions)
            echo_rich([*([table] if table else []), *lines.unpredicted_lines(predictions)])
