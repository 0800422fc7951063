"""`quantroof quality study`: what each quantization method costs a language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from quantroof.cli.output import echo_json, echo_rich, json_option, note
from quantroof.cli.quality_options import subject_options

if TYPE_CHECKING:
    from quantroof.quality.setup import StudyOptions


@click.command("study", short_help="What each quantization method loses.")
@subject_options
@click.option("--methods", default="all", show_default=True, help="Names, separated by commas.")
@click.option("--variants", default="base,outliers", show_default=True, help="base, outliers or both.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep every result in this file (JSON lines).")
@click.option("--resume", is_flag=True, help="Go on with --out where it stopped.")
@json_option
def command(
    options: StudyOptions, *, methods: str, variants: str, out: Path | None, resume: bool, as_json: bool
) -> None:
    """Quantize MODEL (or the small model of this machine) by every method and measure the accuracy loss.

    Without MODEL the small model is trained once per machine, if --train asks for it: about three minutes of
    one core. The study of all methods then takes some four minutes on two cores.

    Losses are compared window by window with the unquantized model; a difference whose 95 % interval holds
    zero is called undecided. The variant `outliers` computes the same function with large activations.
    """
    from quantroof.quality import setup, study
    from quantroof.quality.methods import QUANTIZING, method
    from quantroof.records.quality import opened
    from quantroof.reports.text.study_lines import (
        result_line,
        study_document,
        study_table,
        unmeasured_lines,
    )

    selected = [method(name.strip()) for name in (QUANTIZING if methods == "all" else methods.split(","))]
    kinds = [name.strip() for name in variants.split(",")]
    study.check_variants(kinds)
    subject = setup.study_subject(options, note, calibrate=any(m.calibrated for m in selected))
    windows = len(subject.evaluation.ids)
    note(f"{len(selected)} methods, {' and '.join(kinds)}, {windows} windows of {options.window} tokens each")
    with opened(out, study.header(subject, "study", options.seed), resume=resume) as scores:
        done = frozenset(r.key for r in scores.results if r.status == "ok")
        for result in study.run_study(subject, selected, kinds, done):
            scores.add(result)
            note(result_line(scores, result))
    if as_json:
        echo_json("quality-study", study_document(scores))
    else:
        echo_rich([study_table(scores), *unmeasured_lines(scores)])
