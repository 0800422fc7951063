"""Errors of number formats without a model, as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from quantroof.reports.text.table import table, titled
from quantroof.units import decimals

if TYPE_CHECKING:
    from rich.console import Group

    from quantroof.quality.lab.errors import FormatError, OutputError

LEGEND = "6 dB more SQNR halve the error; `quantroof quality study` measures what a model tolerates"
_HEADINGS = ("format", "bits per element", "SQNR dB", "without outliers", "worst error / rms")


def format_error_tables(errors: Sequence[FormatError]) -> Iterator[Group]:
    """One table per kind of data: the error of storing and reading by format."""
    for data in dict.fromkeys(error.data for error in errors):
        rows = [
            (
                error.format,
                decimals(error.bits_per_element, 3),
                "exact" if error.sqnr_db is None else decimals(error.sqnr_db),
                decimals(error.usual_sqnr_db),
                decimals(error.worst, 4),
            )
            for error in errors
            if error.data == data
        ]
        yield titled(f"{data}: stored and read back", table(_HEADINGS, rows, right=_HEADINGS[1:]))


def output_error_table(errors: Sequence[OutputError]) -> Group:
    """Scheme by kind of activations: the relative error of a linear layer's output."""
    kinds = list(dict.fromkeys(error.activations for error in errors))
    relative = {(error.scheme, error.activations): error.relative for error in errors}
    headings = ("scheme", *(f"{kind} activations" for kind in kinds))
    rows = [
        (scheme, *(decimals(relative[scheme, kind], 5) for kind in kinds))
        for scheme in dict.fromkeys(error.scheme for error in errors)
    ]
    title = f"linear layer with {errors[0].weights} weights: relative error of the output"
    return titled(title, table(headings, rows, right=headings[1:]))
