"""`quantroof quality decode`: tokens per second of a model in several formats."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.options import SHARE, Finite
from quantroof.cli.output import echo_json, echo_rich, json_option, note
from quantroof.cli.quality_options import missing_model
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.quality.decode.models import Source
    from quantroof.quality.decode.sweep import TooLarge
    from quantroof.quality.decode.throughput import Throughput


@click.command("decode", short_help="Decode speed of a model in every format.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--formats",
    default="fp32,bf16,int8",
    show_default=True,
    help="fp32, bf16, fp16, int8, int8-off, nf4, fp4.",
)
@click.option("--batches", default="1", show_default=True, help="Sequences at once, as a list.")
@click.option(
    "--prompt", type=click.IntRange(1), default=128, show_default=True, help="Tokens of the prompt."
)
@click.option("--tokens", type=click.IntRange(1), default=32, show_default=True, help="New tokens per block.")
@click.option(
    "--precision",
    type=SHARE,
    default=0.02,
    show_default=True,
    help="Half-width of the 95 % interval to reach.",
)
@click.option(
    "--seconds",
    type=Finite(1),
    default=20.0,
    show_default=True,
    help="Seconds per format and batch, at most.",
)
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda:0.")
@click.option("--run", "run_path", type=click.Path(path_type=Path), help="A run with the device's roof.")
@json_option
def command(
    model: Path,
    *,
    formats: str,
    batches: str,
    device: str,
    run_path: Path | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Decode with MODEL, a checkpoint or a config.json (random weights), in every format and batch.

    Prefill is timed apart from decode; every block decodes the same number of tokens with a static cache, on
    a GPU from a captured graph where the model allows. int8 is LLM.int8(), int8-off the same without outlier
    columns; nf4 and fp4 are bitsandbytes'. Random weights are made on the device, without a file or a copy
    in the host's memory.
    """
    if not model.exists():
        raise missing_model(model)
    sizes = _numbers(batches)
    from quantroof.quality.environment import load, use_device
    from quantroof.reports.text.decode_lines import decode_row, decode_table

    load("torch")
    from quantroof.quality.decode.models import RandomWeights, source

    device = use_device(device)
    roof = _read_roof(run_path, device)
    origin = source(model)
    random = isinstance(origin, RandomWeights)
    if random and model.is_dir():
        note(f"{model}: has no weights, so random weights of its shape are used")
    results, too_large = _measure(origin, [f.strip() for f in formats.split(",")], sizes, device, settings)
    if as_json:
        document = {
            "device": device,
            "random_weights": random,
            "results": [decode_row(result, roof) for result in results],
            "too_large": [asdict(result) for result in too_large],
        }
        echo_json("quality-decode", document)
    else:
        title = f"decode, {'random weights in the shape of ' if random else ''}{model}"
        echo_rich([decode_table(title, results, roof)])


def _measure(
    origin: Source, formats: list[str], batches: list[int], device: str, settings: dict[str, Any]
) -> tuple[list[Throughput], list[TooLarge]]:
    """What was measured, and what did not fit in memory; each is printed on stderr as it comes."""
    from quantroof.bench.timing.sampling import StoppingRule
    from quantroof.quality.decode.sweep import sweep
    from quantroof.quality.decode.throughput import Throughput, Workload
    from quantroof.reports.text.decode_lines import result_line

    rule = StoppingRule(settings["precision"], min_samples=6, max_samples=60, seconds=settings["seconds"])
    workloads = [Workload(batch, settings["prompt"], settings["tokens"]) for batch in batches]
    results: list[Throughput] = []
    too_large: list[TooLarge] = []
    for result in sweep(origin, formats, workloads, rule, device):
        note(result_line(result))
        if isinstance(result, Throughput):
            results.append(result)
        else:
            too_large.append(result)
    return results, too_large


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UsageError(f"--batches '{text}' is not a list of positive numbers", hint="for example 1,8,64")
    return numbers


def _read_roof(path: Path | None, device: str) -> float | None:
    """Measured read bandwidth of the device in a run, bytes/s."""
    if path is None:
        return None
    from quantroof.analysis.roofs import measured_roofs
    from quantroof.records.directory import read_run

    run = read_run(path)
    roof = measured_roofs("cpu:0" if device == "cpu" else device, run.ceilings).read_bandwidth()
    if roof is None or run.info.simulated:
        raise UsageError(f"has no measured read bandwidth of {device}", where=str(run.path))
    return roof
