"""`quantroof quality quantize`: write a quantized checkpoint, load it again, and measure it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.output import echo_json, json_option, note
from quantroof.cli.quality_options import subject_options
from quantroof.errors import UsageError

if TYPE_CHECKING:
    from quantroof.quality.setup import StudyOptions


@click.command("quantize", short_help="Quantize a model into a checkpoint.")
@subject_options
@click.option("--method", "name", required=True, help="gptq, awq, smoothquant-token, fp8, nf4 ...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Directory to write.")
@json_option
def command(options: StudyOptions, *, name: str, out: Path, as_json: bool) -> None:
    """Quantize MODEL (or the small model) into a checkpoint under --out, reload it and measure both.

    The result loads with transformers and vLLM: compressed-tensors or bitsandbytes, in the model's dtype.
    """
    from dataclasses import asdict, replace

    from quantroof.analysis.studies import figure
    from quantroof.quality import setup, writing
    from quantroof.quality.methods import QUANTIZING, method
    from quantroof.records.quality import BASELINE
    from quantroof.reports.text.memory_lines import both_units

    if name == BASELINE:
        raise UsageError(f"method '{name}' quantizes nothing", hint=f"one of: {', '.join(QUANTIZING)}")
    quantizer = method(name)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "is not empty" if out.is_dir() else "is not a directory"
        raise UsageError(what, where=str(out), hint="choose another --out")
    stored = replace(options, dtype="stored") if options.dtype == "fp32" else options
    subject = setup.study_subject(stored, note, calibrate=quantizer.calibrated)
    written = writing.write_quantized(subject, quantizer, out)
    difference = written.difference
    if as_json:
        echo_json("quality-quantize", {"path": str(out), "method": name, **asdict(written)})
        return
    click.echo(f"{out}: {name} in {written.seconds:.1f} s, {written.peak_bytes / 1e6:.0f} MB at the peak")
    click.echo(f"stored {both_units(written.stored_bytes)}, before {both_units(written.original_bytes)}")
    click.echo(
        f"reloaded: {written.loss:.4f} nats per token, {figure(difference)} over the original"
        f" ({difference.verdict}, {difference.windows} windows)"
    )
