"""`quantroof quality formats`: error of number formats without any model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from quantroof.cli.options import SEED
from quantroof.cli.output import echo_json, echo_lines, echo_rich, json_option, working


@click.command("formats", short_help="Error of every number format and scheme.")
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--format", "names", multiple=True, help="Only this format, such as int4.g64. Repeatable.")
@click.option(
    "--limit", type=click.IntRange(1), default=8, show_default=True, help="Matrices of a checkpoint."
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="Seed of the synthetic matrices.")
@json_option
def command(checkpoint: Path | None, *, names: tuple[str, ...], limit: int, seed: int, as_json: bool) -> None:
    """Signal to noise and worst error of every format, and error of a linear layer in every scheme.

    Without CHECKPOINT (a directory of *.safetensors, or one file) on Gaussian, Student-t and outlier-channel
    data; with it on its largest matrices, of which rows are left out evenly beyond four million elements.
    """
    from quantroof.quality.environment import load

    load("torch")
    from quantroof.quality.lab import data, errors
    from quantroof.reports.text.format_error_lines import LEGEND, format_error_tables, output_error_table

    if checkpoint is not None:
        matrices = data.checkpoint_matrices(checkpoint, limit)
    else:
        matrices = [data.synthetic(name, seed=seed) for name in data.DISTRIBUTIONS]
    weights = matrices[0]
    columns = weights.values.shape[1]
    kinds = ("gaussian", "outlier-channels")
    activations = [data.synthetic(kind, 64, columns, seed + 1) for kind in kinds]
    with working("quantizing in every format: about a minute"):
        by_format = errors.format_errors(matrices, names or errors.FORMATS)
        by_scheme = errors.output_errors(activations, weights)
    if as_json:
        echo_json(
            "quality-formats",
            {"formats": [asdict(e) for e in by_format], "linear": [asdict(e) for e in by_scheme]},
        )
        return
    echo_rich([*format_error_tables(by_format), output_error_table(by_scheme)])
    echo_lines([LEGEND])
