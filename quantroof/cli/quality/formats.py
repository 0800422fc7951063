"""`quantroof quality formats`: error of number formats without any model."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.output import echo_json, json_option

if TYPE_CHECKING:
    from quantroof.quality.lab.errors import FormatError, OutputError


@click.command("formats")
@click.argument("checkpoint", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--format", "names", multiple=True, help="Only this format, such as int4.g64. Repeatable.")
@click.option(
    "--limit", type=click.IntRange(1), default=8, show_default=True, help="Matrices of a checkpoint."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the synthetic matrices.")
@json_option
def command(checkpoint: Path | None, *, names: tuple[str, ...], limit: int, seed: int, as_json: bool) -> None:
    """Signal to noise and worst error of every format, and error of a linear layer in every scheme.

    Without CHECKPOINT (a directory of *.safetensors, or one file) on Gaussian, Student-t and outlier-channel
    data; with it on its largest matrices, of which rows are left out evenly beyond four million elements.
    """
    from quantroof.quality.environment import load

    load("torch")
    from quantroof.quality.lab import data, errors

    if checkpoint is not None:
        matrices = data.checkpoint_matrices(checkpoint, limit)
    else:
        matrices = [data.synthetic(name, seed=seed) for name in data.DISTRIBUTIONS]
    weights = matrices[0]
    columns = weights.values.shape[1]
    kinds = ("gaussian", "outlier-channels")
    activations = [data.synthetic(kind, 64, columns, seed + 1) for kind in kinds]
    by_format = errors.format_errors(matrices, names or errors.FORMATS)
    by_scheme = errors.output_errors(activations, weights)
    if as_json:
        echo_json(
            "quality-formats",
            {"formats": [asdict(e) for e in by_format], "linear": [asdict(e) for e in by_scheme]},
        )
        return
    _print(by_format, by_scheme)


def _print(by_format: list[FormatError], by_scheme: list[OutputError]) -> None:
    from quantroof.reports.text.quality_lines import figure, print_table

    data_names = list(dict.fromkeys(e.data for e in by_format))
    for name in data_names:
        rows = [
            (
                e.format,
                figure(e.bits_per_element, 3),
                "exact" if e.sqnr_db is None else figure(e.sqnr_db),
                figure(e.usual_sqnr_db),
                figure(e.worst, 4),
            )
            for e in by_format
            if e.data == name
        ]
        header = ("format", "bits an element", "SQNR dB", "without outliers", "worst error / rms")
        print_table(f"{name}: round trip", header, rows)
    kinds = list(dict.fromkeys(e.activations for e in by_scheme))
    schemes = list(dict.fromkeys(e.scheme for e in by_scheme))
    table = {(e.scheme, e.activations): e.relative for e in by_scheme}
    print_table(
        f"linear layer with {by_scheme[0].weights} weights: error of the output, relative",
        ("scheme", *(f"{kind} activations" for kind in kinds)),
        [(s, *(figure(table[s, kind], 5) for kind in kinds)) for s in schemes],
    )
