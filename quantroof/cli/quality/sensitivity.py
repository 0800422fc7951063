"""`quantroof quality sensitivity`: which layers need their bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.analysis import studies
from quantroof.cli.numbers import POSITIVE
from quantroof.cli.output import echo_json, json_option
from quantroof.cli.quality_options import subject_options

if TYPE_CHECKING:
    import torch

    from quantroof.quality.mixed import Mixture
    from quantroof.quality.setup import Wish
    from quantroof.quality.study import Subject
    from quantroof.records.quality import QualityResult, QualityStudy


@click.command("sensitivity")
@subject_options
@click.option("--formats", default="int4.g128,int8.channel", show_default=True, help="Tried on every part.")
@click.option("--budget", type=POSITIVE, help="Mean bits a weight: suggest a mixture and measure it.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep every result in this file (JSON lines).")
@click.option("--resume", is_flag=True, help="Go on with --out where it stopped.")
@json_option
def command(
    wish: Wish,
    *,
    formats: str,
    budget: float | None,
    out: Path | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Quantize one matrix of MODEL at a time, head and embedding included, and measure what it costs.

    Weights that are tied are one part. With --budget the cheapest mixture under it is suggested,
    measured as a whole, and laid beside the uniform ones.
    """
    from quantroof.kernels.formats import Format
    from quantroof.quality import sensitivity, setup, study
    from quantroof.records.quality import append, opened
    from quantroof.reports.text.quality_lines import say

    names = [name.strip() for name in formats.split(",")]
    for name in names:
        Format.parse(name)  # refused before any work
    subject = setup.subject(wish, say, calibrate=False)
    found = opened(out, study.header(subject, "sensitivity", wish.seed), resume=resume)
    model = subject.checkpoint.model(subject.dtype, subject.device)

    def keep(result: QualityResult) -> None:
        found.results.append(result)
        if out is not None:
            append(out, result)

    for result in sensitivity.scan(subject, model, names, frozenset(r.key for r in found.results)):
        keep(result)
        say(f"{result.part or 'the model as it is'} {result.method}")
    mixture = None
    if budget is not None:
        mixture, verified = _mixture(found, subject, model, names, budget)
        for result in verified:
            keep(result)
    if as_json:
        echo_json("quality-sensitivity", _document(found, mixture, names))
    else:
        _print(found, mixture, names)


def _mixture(
    found: QualityStudy, subject: Subject, model: torch.nn.Module, formats: list[str], budget: float
) -> tuple[Mixture, list[QualityResult]]:
    """The suggestion, and what it and each uniform choice were measured to cost."""
    from quantroof.quality import mixed, sensitivity

    parts = sensitivity.parts_of(model)
    bits = {
        (p.name, text): p.format_for(text).bits_per_element(*p.weight.shape)
        for p in parts
        for text in formats
    }
    choices = mixed.choices_from(found, bits)
    mixture = mixed.suggest(choices, {p.name: p.elements for p in parts}, budget)
    results = [sensitivity.measure_mixture(subject, model, mixture.formats, f"mixture of {budget:g} bits")]
    results += [
        sensitivity.measure_mixture(subject, model, {p.name: text for p in parts}, f"all {text}")
        for text in formats
    ]
    return mixture, results


def _document(found: QualityStudy, mixture: Mixture | None, formats: list[str]) -> dict[str, Any]:
    from dataclasses import asdict

    import msgspec

    from quantroof.quality.mixed import rank_stability

    rows = []
    for result in found.results:
        difference = studies.difference(found, result)
        row: dict[str, Any] = {"part": result.part, "format": result.method, "loss_nats": result.loss}
        row["difference"] = None if difference is None else asdict(difference)
        row["verdict"] = None if difference is None else difference.verdict
        rows.append(row)
    return {
        "header": msgspec.to_builtins(found.header),
        "results": rows,
        "rank_stability": {text: rank_stability(found, text) for text in formats},
        "mixture": None if mixture is None else asdict(mixture),
    }


def _print(found: QualityStudy, mixture: Mixture | None, formats: list[str]) -> None:
    from quantroof.quality.mixed import rank_stability
    from quantroof.reports.text.quality_lines import figure, print_table

    for text in formats:
        differences = [
            (r.part, d)
            for r in found.results
            if r.method == text and r.part is not None and (d := studies.difference(found, r)) is not None
        ]
        ranked = sorted(differences, key=lambda pair: -pair[1].mean)
        rows = [(part, f"{d.mean:+.5f}", f"{d.half_width:.5f}", d.verdict) for part, d in ranked]
        print_table(f"one part in {text}", ("part", "nats", "+-", "verdict"), rows)
        click.echo(f"rank correlation between halves of the text: {figure(rank_stability(found, text))}")
    if mixture is None:
        return
    click.echo(
        f"suggested, {mixture.bits:.2f} bits a weight, {mixture.predicted_loss:+.4f} nats if losses add:"
    )
    for part, text in mixture.formats.items():
        click.echo(f"  {part}: {text}")
    click.echo("  the others stay in 16 bits")
    for result in found.results:
        difference = studies.difference(found, result)
        if result.part is None and difference is not None and result.method != "none":
            click.echo(
                f"measured, {result.method}: {difference.mean:+.4f} +- {difference.half_width:.4f} nats"
            )
