"""Studies and scans of a language model: what each method loses, as lines, tables and data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec

from quantroof.analysis.studies import difference, figure
from quantroof.records.quality import BASELINE, QualityResult, QualityStudy
from quantroof.reports.text.table import table, titled
from quantroof.units import decimals

if TYPE_CHECKING:
    from rich.console import Group

    from quantroof.analysis.paired import Difference
    from quantroof.quality.mixed import Mixture


def result_line(study: QualityStudy, result: QualityResult) -> str:
    """One result as it comes: `base gptq: +0.0123 ± 0.0020 nats, worse`."""
    name = f"{result.variant} {result.method}"
    if result.status != "ok":
        return f"{name}: {result.status}, {result.reason}"
    loss = _loss(study, result)
    if loss is None:
        return f"{name}: {decimals(result.loss, 4)} nats per token"
    return f"{name}: {figure(loss)} nats, {loss.verdict}"


def result_rows(study: QualityStudy) -> list[dict[str, Any]]:
    """Every result with its difference from the unquantized model, for programs."""
    rows = []
    for result in study.results:
        loss = difference(study, result)
        compared = {"difference": None, "verdict": None} if loss is None else {
            "difference": asdict(loss), "verdict": loss.verdict,
        }  # fmt: skip
        rows.append({**msgspec.to_builtins(result), "loss_nats": result.loss, **compared})
    return rows


def study_document(study: QualityStudy) -> dict[str, Any]:
    """A study as one document."""
    return {"header": msgspec.to_builtins(study.header), "results": result_rows(study)}


def study_table(study: QualityStudy) -> Group:
    """Method by variant: the loss, its verdict, and the cost of quantizing."""
    variants = list(dict.fromkeys(result.variant for result in study.results))
    results = {(result.variant, result.method): result for result in study.results}
    rows = []
    for method in dict.fromkeys(result.method for result in study.results):
        cells = [_cells(study, results.get((variant, method))) for variant in variants]
        rows.append((method, *(cell for group in cells for cell in group)))
    headings = ("method", *(h for v in variants for h in (f"{v}: nats", "", "quantize s")))
    title = f"{study.header.model}: loss over unquantized, {study.header.evaluation.windows} windows"
    return titled(title, table(headings, rows, right=headings[1:]))


def unmeasured_lines(study: QualityStudy) -> Iterator[str]:
    """What a study could not measure, and why."""
    yield from (result_line(study, result) for result in study.results if result.status != "ok")


def scan_tables(study: QualityStudy, formats: list[str]) -> Iterator[Group]:
    """One table per format of a sensitivity scan, the most expensive part first."""
    for text in formats:
        losses = [
            (result.part, loss)
            for result in study.results
            if result.method == text and result.part is not None
            if (loss := difference(study, result)) is not None
        ]
        losses.sort(key=lambda entry: -entry[1].mean)
        rows = [(part, f"{d.mean:+.5f}", f"{d.half_width:.5f}", d.verdict) for part, d in losses]
        yield titled(
            f"one part in {text}", table(("part", "nats", "±", "verdict"), rows, right=("nats", "±"))
        )


def scan_document(
    study: QualityStudy, mixture: Mixture | None, stability: dict[str, float | None]
) -> dict[str, Any]:
    """A sensitivity scan as one document."""
    fields = ("part", "method", "loss_nats", "difference", "verdict")
    rows = [{name: row[name] for name in fields} for row in result_rows(study)]
    return {
        "header": msgspec.to_builtins(study.header),
        "results": [{"part": row.pop("part"), "format": row.pop("method"), **row} for row in rows],
        "rank_stability": stability,
        "mixture": None if mixture is None else asdict(mixture),
    }


def mixture_lines(study: QualityStudy, mixture: Mixture) -> Iterator[str]:
    """The suggested mixture, and what it and the uniform choices were measured to cost."""
    bits, loss = f"{mixture.bits:.2f} bits per weight", f"{mixture.predicted_loss:+.4f} nats"
    yield f"suggested: {bits}, {loss} if the losses add up:"
    yield from (f"  {part}: {text}" for part, text in mixture.formats.items())
    yield "  all other parts stay in 16 bits"
    for result in study.results:
        measured = difference(study, result)
        if result.part is None and measured is not None and result.method != BASELINE:
            yield f"measured, {result.method}: {figure(measured)} nats"


def _loss(study: QualityStudy, result: QualityResult) -> Difference | None:
    return None if result.method == BASELINE else difference(study, result)


def _cells(study: QualityStudy, result: QualityResult | None) -> tuple[str, str, str]:
    if result is None or result.loss is None:
        return "-", "not measured", "-"
    loss = _loss(study, result)
    if loss is None:
        return f"loss {result.loss:.4f}", "", "-"
    return figure(loss), loss.verdict, decimals(result.quantize_s, 1)
