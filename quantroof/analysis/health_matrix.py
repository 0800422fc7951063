"""The GPUs of a report side by side: each ceiling and state as a change from the median of its model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from quantroof.analysis.device_results import DeviceResults
from quantroof.analysis.health import CeilingRow, HealthReport
from quantroof.analysis.verdicts import Verdict
from quantroof.records.lines import DeviceState

FULL_SCALE = 0.05
"""The change from the median at which a cell has its full color."""


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One quantity of one device in base units; `change` is over the median of its model, None where the
    device is the only one; `low` is the verdict of `analysis.health`."""

    value: float
    change: float | None
    low: bool


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """One device: its verdict, and its cells by column."""

    label: str
    verdict: Verdict
    cells: dict[str, MatrixCell]


@dataclass(frozen=True, slots=True)
class HealthMatrix:
    """Columns are (name, unit); the ceilings come first, then what the devices reported of themselves."""

    columns: tuple[tuple[str, str], ...]
    rows: tuple[MatrixRow, ...]


_STATES: tuple[tuple[str, str, Callable[[DeviceState], float | None]], ...] = (
    ("clock", "MHz", lambda state: state.sm_clock_mhz),
    ("power", "W", lambda state: state.power_w),
    ("temperature", "°C", lambda state: state.temperature_c),
)


def health_matrix(devices: list[DeviceResults], health: HealthReport) -> HealthMatrix:
    """One row per device, in the order of the report."""
    lows = {(row.device, row.quantity, row.name): row for row in health.rows}
    values = {results.label: _values(results) for results in devices}
    columns = dict.fromkeys(column for own in values.values() for column in own)
    models = {results.label: (results.device.name, results.run.info.simulated) for results in devices}
    rows = []
    for results in devices:
        alike = [own for label, own in values.items() if models[label] == models[results.label]]
        cells = {
            column[0]: _cell(
                value, [own[column] for own in alike if column in own], _low(lows, results, column)
            )
            for column, value in values[results.label].items()
        }
        rows.append(MatrixRow(results.label, health.devices[results.label], cells))
    return HealthMatrix(tuple(columns), tuple(rows))


def _values(results: DeviceResults) -> dict[tuple[str, str], float]:
    measured = results.measured
    values = {(name, "B/s"): rate for name, rate in measured.bandwidth.items()}
    values |= {(name, "FLOP/s"): rate for name, rate in measured.matrix.items()}
    states = [p.measurement.state for p in results.timed if p.measurement.state is not None]
    for name, unit, field in _STATES:
        reported = [value for state in states if (value := field(state)) is not None]
        if reported:
            values[name, unit] = median(reported)
    return values


def _cell(value: float, alike: list[float], low: CeilingRow | None) -> MatrixCell:
    center = median(alike)
    several = len(alike) > 1 and center != 0
    return MatrixCell(value, value / center - 1 if several else None, low is not None and low.low)


def _low(
    lows: dict[tuple[str, str, str], CeilingRow], results: DeviceResults, column: tuple[str, str]
) -> CeilingRow | None:
    name, unit = column
    quantity = {"B/s": "bandwidth", "FLOP/s": "matrix"}.get(unit)
    return None if quantity is None else lows.get((results.label, quantity, name))
