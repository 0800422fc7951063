"""`quantroof quality sensitivity`: which layers lose accuracy in few bits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.options import POSITIVE
from quantroof.cli.output import echo_json, echo_lines, echo_rich, json_option, note
from quantroof.cli.quality_options import subject_options

if TYPE_CHECKING:
    import torch

    from quantroof.quality.mixed import Mixture
    from quantroof.quality.setup import StudyOptions
    from quantroof.quality.study import StudySubject
    from quantroof.records.quality import QualityResult, QualityStudy


@click.command("sensitivity", short_help="What each matrix costs, quantized alone.")
@subject_options
@click.option(
    "--formats", default="int4.g128,int8.channel", show_default=True, help="Formats tried on every matrix."
)
@click.option("--budget", type=POSITIVE, help="Mean bits per weight: suggest a mixture and measure it.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep every result in this file (JSON lines).")
@click.option("--resume", is_flag=True, help="Go on with --out where it stopped.")
@json_option
def command(
    options: StudyOptions,
    *,
    formats: str,
    budget: float | None,
    out: Path | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Quantize one matrix of MODEL at a time, head and embedding included, and measure the loss of each.

    Weights that are tied are one part. With --budget the cheapest mixture under it is suggested,
    measured as a whole, and compared with uniform formats.
    """
    from quantroof.kernels.formats import Format
    from quantroof.quality import sensitivity, setup, study
    from quantroof.quality.mixed import rank_stability
    from quantroof.records.quality import opened
    from quantroof.reports.text.study_lines import scan_document

    names = [name.strip() for name in formats.split(",")]
    for name in names:
        Format.parse(name)  # refused before any work
    subject = setup.study_subject(options, note, calibrate=False)
    mixture = None
    with opened(out, study.header(subject, "sensitivity", options.seed), resume=resume) as scan:
        model = subject.checkpoint.model(subject.dtype, subject.device)
        for result in sensitivity.scan(subject, model, names, frozenset(r.key for r in scan.results)):
            scan.add(result)
            note(f"{result.part or 'the model as it is'} {result.method}")
        if budget is not None:
            mixture, verified = _mixture(scan, subject, model, names, budget)
            for result in verified:
                scan.add(result)
    if as_json:
        stability = {text: rank_stability(scan, text) for text in names}
        echo_json("quality-sensitivity", scan_document(scan, mixture, stability))
    else:
        _print(scan, mixture, names)


def _mixture(
    scan: QualityStudy, subject: StudySubject, model: torch.nn.Module, formats: list[str], budget: float
) -> tuple[Mixture, list[QualityResult]]:
    """The suggestion, and what it and each uniform choice were measured to cost."""
    from quantroof.quality import mixed, sensitivity

    parts = sensitivity.parts_of(model)
    bits = {
        (p.name, text): p.format_for(text).bits_per_element(*p.weight.shape)
        for p in parts
        for text in formats
    }
    choices = mixed.choices_from(scan, bits)
    mixture = mixed.suggest(choices, {p.name: p.elements for p in parts}, budget)
    results = [sensitivity.measure_mixture(subject, model, mixture.formats, f"mixture of {budget:g} bits")]
    results += [
        sensitivity.measure_mixture(subject, model, {p.name: text for p in parts}, f"all {text}")
        for text in formats
    ]
    return mixture, results


def _print(scan: QualityStudy, mixture: Mixture | None, formats: list[str]) -> None:
    from quantroof.quality.mixed import rank_stability
    from quantroof.reports.text.study_lines import mixture_lines, scan_tables
    from quantroof.units import decimals

    for text, table in zip(formats, scan_tables(scan, formats), strict=True):
        stability = decimals(rank_stability(scan, text))
        echo_rich([table, f"rank correlation between halves of the text: {stability}"])
    if mixture is not None:
        echo_lines(mixture_lines(scan, mixture))
