"""`quantroof quality endpoint`: a served model under load, beside what the advisor predicts."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.options import Finite
from quantroof.cli.output import echo_json, echo_rich, json_option, say
from quantroof.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from quantroof.advisor.served import Predictor
    from quantroof.records.served import Served

_FILE = click.Path(path_type=Path)
_MANY = click.IntRange(1)
_LOAD = (
    click.option("--model", help="The name it is served under."),
    click.option("--concurrency", default="1,4,16", help="Requests kept under way, as a list."),
    click.option("--requests", type=_MANY, default=8, help="Requests per concurrent stream."),
    click.option("--seconds", type=Finite(1), default=120.0, help="Longest time of one load."),
    click.option("--prompt-tokens", type=_MANY, default=256, help="Tokens of a prompt."),
    click.option("--output-tokens", type=click.IntRange(2), default=64, help="Tokens of an answer."),
    click.option("--tokenizer", help="Folder of its tokenizer, or a cached name.  [default: --model]"),
    click.option("--chat", is_flag=True, help="Use /v1/chat/completions, not /v1/completions."),
    click.option("--api-key-env", help="Environment variable that holds the key."),
    click.option("--import", "imported", multiple=True, type=_FILE, help="Read a result instead of loading."),
    click.option("--out", type=_FILE, help="Write the records here."),
)
_PREDICT = (
    click.option("--predict-for", "gpu", help="GPU whose prediction to show: a profile's id."),
    click.option("--run", "run_path", type=_FILE, help="Predict from this run's measurements."),
    click.option("--as-model", help="What it is to the advisor: a model's id or a config.json."),
    click.option("--format", "format_name", default="bf16", help="The format it is served in."),
    click.option("--gpus", type=_MANY, default=1, help="GPUs it is served on."),
    click.option("--kv", default="fp16", help="Its KV cache: fp16, fp8, int8 or int4."),
)


def _with(options: tuple[Any, ...]) -> Callable[[Callable[..., int]], Callable[..., int]]:
    def wrap(function: Callable[..., int]) -> Callable[..., int]:
        for option in reversed(options):
            function = option(function)
        return function

    return wrap


@click.command("endpoint", context_settings={"show_default": True})
@click.argument("url", required=False)
@_with(_LOAD)
@_with(_PREDICT)
@json_option
def command(*, url: str | None, out: Path | None, as_json: bool, **given: Any) -> int:
    """Measure the OpenAI-compatible server at URL, or read a result of guidellm or `vllm bench serve`.

    Time to the first token, time per token and tokens a second at each concurrency; beside the advisor's
    prediction with --predict-for or --run, and --as-model. Exit code 1 says that requests failed, or
    none completed.
    """
    if (url is None) == (not given["imported"]):
        raise UsageError("give the URL of a server, or --import FILE", hint="one of the two")
    if out is not None and out.exists():
        raise UsageError("there is a file here already", where=str(out), hint="name another")
    predictor = _predictor(given)
    served = _measured(url, given) if url is not None else _imported(given)
    if out is not None:
        from quantroof.records.served import write_served

        write_served(out, served)
    _show(served, predictor, as_json=as_json)
    answered = all(load.completed and not load.failed for load in served.loads)
    return ExitCode.OK if answered else ExitCode.FINDING


def _imported(given: dict[str, Any]) -> Served:
    from quantroof.quality.served.importing import read_results

    return read_results(given["imported"])


def _measured(url: str, given: dict[str, Any]) -> Served:
    from quantroof.quality.served import endpoint, load

    if given["model"] is None:
        raise UsageError("which model does it serve?", where=url, hint="--model NAME")
    target = endpoint.Endpoint(
        endpoint.base_url(url), given["model"], "chat" if given["chat"] else "completions", _key(given)
    )
    workload = load.Workload(
        concurrency=_numbers(given["concurrency"]),
        requests_per_stream=given["requests"],
        prompt_tokens=given["prompt_tokens"],
        output_tokens=given["output_tokens"],
        seconds=given["seconds"],
        tokenizer=given["tokenizer"] or given["model"],
    )
    load.require_tool()
    full_length = endpoint.takes_ignore_eos(target)
    if not full_length:
        say("the server refuses ignore_eos: answers may end before --output-tokens")
    say(f"loading {target.address} at concurrency {given['concurrency']}, {workload.longest_s:.0f} s at most")
    return load.run(target, workload, ignore_eos=full_length)


def _key(given: dict[str, Any]) -> str | None:
    name = given["api_key_env"]
    if name is None:
        return None
    key = os.environ.get(name)
    if not key:
        raise UsageError(f"the variable {name} is empty", where="--api-key-env")
    return key


def _numbers(text: str) -> tuple[int, ...]:
    from quantroof.advisor.quantities import counts

    return tuple(sorted(counts(text, "--concurrency")))


def _predictor(given: dict[str, Any]) -> Predictor | None:
    """What to predict with, None where it was not asked for. Wrong names are refused before any load."""
    if given["gpu"] is None and given["run_path"] is None:
        if given["as_model"] is not None:
            raise UsageError("--as-model needs a GPU to predict for", hint="--predict-for GPU, or --run RUN")
        return None
    if given["as_model"] is None:
        raise UsageError("a prediction needs the model's sizes", hint="--as-model ID, or its config.json")
    from quantroof.advisor.choices import choice, kv_format
    from quantroof.advisor.models import model
    from quantroof.advisor.served import Predictor
    from quantroof.advisor.sources import machine_and_times

    architecture = model(given["as_model"])
    machine, table = machine_and_times(given["gpu"], given["run_path"])
    name = choice(given["format_name"]).name
    kv_format(given["kv"])
    return Predictor(architecture, machine, table, name, given["gpus"], given["kv"])


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
