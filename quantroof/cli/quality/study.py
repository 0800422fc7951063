"""`quantroof quality study`: what each quantization method costs a language model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from quantroof.analysis import studies
from quantroof.cli.output import echo_json, json_option
from quantroof.cli.quality_options import subject_options

if TYPE_CHECKING:
    from quantroof.quality.setup import Wish
    from quantroof.records.quality import QualityResult, QualityStudy


@click.command("study")
@subject_options
@click.option("--methods", default="all", show_default=True, help="Names, separated by commas.")
@click.option("--variants", default="base,outliers", show_default=True, help="base, outliers or both.")
@click.option("--out", type=click.Path(path_type=Path), help="Keep every result in this file (JSON lines).")
@click.option("--resume", is_flag=True, help="Go on with --out where it stopped.")
@json_option
def command(
    wish: Wish, *, methods: str, variants: str, out: Path | None, resume: bool, as_json: bool
) -> None:
    """Quantize MODEL (or the small model of this machine) by every method and measure what it loses.

    Losses are compared window by window with the unquantized model; a difference whose 95 % interval holds
    zero is called undecided. The variant `outliers` computes the same function with large activations.
    """
    from quantroof.quality import setup, study
    from quantroof.quality.methods import QUANTIZING, method
    from quantroof.records.quality import append, opened
    from quantroof.reports.text.quality_lines import say

    chosen = [method(name.strip()) for name in (QUANTIZING if methods == "all" else methods.split(","))]
    kinds = [name.strip() for name in variants.split(",")]
    study.check_variants(kinds)
    subject = setup.subject(wish, say, calibrate=any(m.calibrated for m in chosen))
    found = opened(out, study.header(subject, "study", wish.seed), resume=resume)
    done = frozenset(r.key for r in found.results if r.status == "ok")
    for result in study.run_study(subject, chosen, kinds, done):
        found.results.append(result)
        if out is not None:
            append(out, result)
        say(_line(found, result))
    if as_json:
        echo_json("quality-study", _document(found))
    else:
        _print(found)


def _line(found: QualityStudy, result: QualityResult) -> str:
    from quantroof.records.quality import BASELINE

    name = f"{result.variant} {result.method}"
    if result.status != "ok":
        return f"{name}: {result.status}, {result.reason}"
    difference = None if result.method == BASELINE else studies.difference(found, result)
    if difference is None:
        return f"{name}: {result.loss:.4f} nats a token"
    return f"{name}: {difference.mean:+.4f} +- {difference.half_width:.4f} nats, {difference.verdict}"


def _document(found: QualityStudy) -> dict[str, Any]:
    from dataclasses import asdict

    import msgspec

    rows = []
    for result in found.results:
        row = msgspec.to_builtins(result)
        difference = studies.difference(found, result)
        row["loss_nats"] = result.loss
        row["difference"] = None if difference is None else asdict(difference)
        row["verdict"] = None if difference is None else difference.verdict
        rows.append(row)
    return {"header": msgspec.to_builtins(found.header), "results": rows}


def _print(found: QualityStudy) -> None:
    from quantroof.reports.text.quality_lines import print_table

    variants = list(dict.fromkeys(r.variant for r in found.results))
    by_key = {(r.variant, r.method): r for r in found.results}
    rows = []
    for name in dict.fromkeys(r.method for r in found.results):
        cells = [_cells(found, by_key.get((variant, name))) for variant in variants]
        rows.append((name, *(cell for pair in cells for cell in pair)))
    text = found.header.evaluation
    header = ("method", *(c for v in variants for c in (f"{v}: nats", "", "quantize s", "MB")))
    print_table(f"{found.header.model}: loss over unquantized, {text.windows} windows", header, rows)
    for result in found.results:
        if result.status != "ok":
            click.echo(f"{result.variant} {result.method}: {result.status}, {result.reason}")


def _cells(found: QualityStudy, result: QualityResult | None) -> tuple[str, str, str, str]:
    from quantroof.records.quality import BASELINE
    from quantroof.reports.text.quality_lines import figure

    if result is None or result.loss is None:
        return "-", "not measured", "-", "-"
    difference = None if result.method == BASELINE else studies.difference(found, result)
    if difference is None:
        return f"loss {result.loss:.4f}", "", "-", "-"
    peak = result.quantize_peak_bytes
    cost = figure(result.quantize_s, 1), figure(None if peak is None else peak / 1e6, 0)
    return f"{difference.mean:+.4f} +- {difference.half_width:.4f}", difference.verdict, *cost
