"""The health section of the page: a matrix of GPUs, or the ceilings of one device, and the findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from quantroof import units
from quantroof.analysis.health import CeilingRow, HealthReport
from quantroof.analysis.health_matrix import FULL_SCALE, HealthMatrix, MatrixCell
from quantroof.analysis.verdicts import State, Verdict

_BAR_FROM = 0.5
"""The share of the datasheet at which a bar begins: from zero, 79 % and 94 % look alike."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One quantity of one GPU. `tint` is its color, -1 to 1; `words` is its value as text."""

    text: str
    tint: float
    low: bool
    words: str


@dataclass(frozen=True, slots=True)
class Row:
    """One GPU of the matrix; an unmeasured quantity has no cell."""

    label: str
    state: State
    cells: list[Cell | None]


@dataclass(frozen=True, slots=True)
class Matrix:
    """GPUs by quantity; a change of `full_scale` from the median has the full color."""

    columns: list[str]
    rows: list[Row]
    full_scale: str


@dataclass(frozen=True, slots=True)
class Ceiling:
    """One ceiling of one device as text; `bar` is the length of its bar in percent."""

    name: str
    device: str
    low: bool
    measured: str
    siblings: str
    against_siblings: str
    datasheet: str
    percent: str
    bar: float | None


@dataclass(frozen=True, slots=True)
class HealthSection:
    """The verdict on all devices, findings, remarks, the matrix of several devices, and the ceilings behind
    it; `siblings` and `datasheet` tell whether any ceiling is compared with them."""

    findings: Sequence[str]
    remarks: Sequence[str]
    matrix: Matrix | None
    ceilings: list[Ceiling]
    siblings: bool
    datasheet: bool
    verdict: Verdict
    states: str | None
    bandwidth: bool


def health_section(
    health: HealthReport, matrix: HealthMatrix, states: Sequence[str], *, bandwidth: bool
) -> HealthSection:
    """The ceilings come as `health` orders them: the furthest from their siblings first."""
    ceilings = [_ceiling(row) for row in health.rows]
    several = bool(matrix.rows[1:])
    return HealthSection(
        findings=health.findings,
        remarks=health.remarks,
        matrix=_matrix(matrix) if several else None,
        ceilings=ceilings,
        siblings=any(row.siblings is not None for row in health.rows),
        datasheet=any(row.datasheet is not None for row in health.rows),
        verdict=health.verdict,
        states=", ".join(states) or None,
        bandwidth=bandwidth,
    )


def _matrix(matrix: HealthMatrix) -> Matrix:
    rows = [
        Row(
            row.label,
            row.verdict.state,
            [
                _cell(row.cells[name], name, unit) if name in row.cells else None
                for name, unit in matrix.columns
            ],
        )
        for row in matrix.rows
    ]
    columns = [name if unit.endswith("/s") else f"{name}, {unit}" for name, unit in matrix.columns]
    return Matrix(columns, rows, units.percent(FULL_SCALE))


def _cell(cell: MatrixCell, name: str, unit: str) -> Cell:
    rate = unit.endswith("/s")
    value = units.si(cell.value, unit) if rate else f"{cell.value:.0f} {unit}"
    if cell.change is None:
        return Cell(value, 0.0, cell.low, f"{name} {value}")
    tint = max(-1.0, min(1.0, cell.change / FULL_SCALE)) if rate else 0.0
    text = units.change(1 + cell.change).removesuffix(" %") if rate else f"{cell.value:.0f}"
    return Cell(
        text, round(tint, 3), cell.low, f"{name} {value}, {units.change(1 + cell.change)} from the median"
    )


def _ceiling(row: CeilingRow) -> Ceiling:
    unit = "B/s" if row.quantity == "bandwidth" else "FLOP/s"
    beside = None if row.against_siblings is None else row.against_siblings + 1
    share = row.against_datasheet
    length = None if share is None else max(0.0, min(1.0, (share - _BAR_FROM) / (1 - _BAR_FROM))) * 100
    return Ceiling(
        name=row.name,
        device=row.device,
        low=row.low,
        measured=units.si(row.measured, unit),
        siblings=units.si(row.siblings, unit),
        against_siblings=units.change(beside),
        datasheet=units.si(row.datasheet, unit),
        percent=units.percent(share),
        bar=None if length is None else round(length, 1),
    )
