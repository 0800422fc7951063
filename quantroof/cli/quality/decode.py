"""`quantroof quality decode`: tokens a second of a model in several formats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.cli.output import echo_json, json_option
from quantroof.errors import EnvironmentMissing, UsageError

if TYPE_CHECKING:
    from quantroof.quality.decode.throughput import Throughput


@click.command("decode")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--formats", default="fp32,bf16,int8", show_default=True, help="fp32, bf16, fp16, int8, nf4, fp4."
)
@click.option("--batches", default="1", show_default=True, help="Sequences at once, as a list.")
@click.option(
    "--prompt", type=click.IntRange(1), default=128, show_default=True, help="Tokens of the prompt."
)
@click.option("--tokens", type=click.IntRange(1), default=32, show_default=True, help="New tokens a block.")
@click.option("--precision", type=click.FloatRange(0, 1, min_open=True), default=0.02, show_default=True)
@click.option(
    "--seconds", type=click.FloatRange(1), default=20.0, show_default=True, help="Limit a workload."
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
    a GPU from a captured graph where the model allows. int8 is LLM.int8(); nf4 and fp4 are bitsandbytes'.
    """
    if not model.exists():
        raise UsageError("no model here", where=str(model), hint="give a checkpoint or a config.json")
    sizes = _numbers(batches)
    from quantroof.quality.environment import load

    if device.startswith("cuda") and not load("torch").cuda.is_available():
        raise EnvironmentMissing("torch finds no GPU here", where=device, hint="use --device cpu")
    roof = _read_roof(run_path, device)
    found = _measure(model, formats.split(","), sizes, device, settings)
    if as_json:
        echo_json("quality-decode", {"device": device, "results": [_row(t, roof) for t in found]})
    else:
        _print(found, roof)


def _measure(
    model: Path, formats: list[str], batches: list[int], device: str, settings: dict[str, Any]
) -> list[Throughput]:
    from quantroof.bench.timing.stopping import StoppingRule
    from quantroof.cli.quality_text import say
    from quantroof.errors import unknown_name
    from quantroof.quality.decode import models, throughput

    if unknown := [name for name in formats if name not in models.FORMATS]:
        raise unknown_name("format", unknown[0], list(models.FORMATS))
    rule = StoppingRule(settings["precision"], min_samples=6, max_samples=60, seconds=settings["seconds"])
    found = []
    with models.source(model) as checkpoint:
        for name in formats:
            loaded = models.in_format(checkpoint, name, device)
            for batch in batches:
                workload = throughput.Workload(batch, settings["prompt"], settings["tokens"])
                found.append(throughput.measure(loaded, workload, rule, device))
                say(f"{name} batch {batch}: {found[-1].tokens_per_s:.1f} tokens/s")
            del loaded
    return found


def _numbers(text: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(",")]
    except ValueError:
        numbers = [0]
    if min(numbers) < 1:
        raise UsageError(f"--batches '{text}' is no list of positive numbers", hint="write it like 1,8,64")
    return numbers


def _read_roof(path: Path | None, device: str) -> float | None:
    """Measured read bandwidth of the device in a run, bytes/s."""
    if path is None:
        return None
    from quantroof.records.directory import read_run
    from quantroof.records.roofs import measured_roofs

    run = read_run(path)
    roof = measured_roofs(device, run.ceilings).read_bandwidth()
    if roof is None or run.info.simulated:
        raise UsageError(f"has no measured read bandwidth of {device}", where=str(run.path))
    return roof


def _row(found: Throughput, roof: float | None) -> dict[str, Any]:
    from dataclasses import asdict

    step = found.step
    return {
        **asdict(found),
        "step_median_ns": step.median,
        "step_interval_ns": [step.low, step.high],
        "tokens_per_s": found.tokens_per_s,
        "prefill_tokens_per_s": found.prefill_tokens_per_s,
        "bytes_per_s": found.bytes_per_s,
        "share_of_read_roof": None if roof is None else found.bytes_per_s / roof,
    }


def _print(found: list[Throughput], roof: float | None) -> None:
    from quantroof.cli.quality_text import figure, print_table

    rows = []
    for t in found:
        share = None if roof is None else t.bytes_per_s / roof
        rows.append(
            (
                f"{t.format}, batch {t.workload.batch}",
                f"{t.prefill_tokens_per_s:.1f}",
                f"{t.tokens_per_s:.1f}",
                f"{t.step.median / 1e6:.3f}",
                f"{t.step.low / 1e6:.3f} .. {t.step.high / 1e6:.3f}",
                f"{t.bytes_per_s / 1e9:.2f}",
                "-" if share is None else f"{share:.0%}",
                figure(t.joules_a_token, 3),
                t.graph,
            )
        )
    header = ("", "prefill tok/s", "decode tok/s", "ms a step", "95 %", "GB/s", "of roof", "J/token", "graph")
    print_table("decode", header, rows)
