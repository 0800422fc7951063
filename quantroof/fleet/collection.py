"""The input of a fleet analysis: units (a device in a run), their times, and counts of errors."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from quantroof.analysis.distributions import Array
from quantroof.analysis.processes import low_position
from quantroof.finding import Finding
from quantroof.fleet.rows import Row
from quantroof.hwprofiles.types import Device

_CAP = 0.98
"""A power limit below this share of the default is a cap."""
_EARLIEST = datetime(2025, 1, 1, tzinfo=UTC)  # before any run of this schema
DEVICE: msgspec.json.Decoder[Device] = msgspec.json.Decoder(Device)


class Population(NamedTuple):
    """GPUs that may be compared with each other: one model, measured by one suite in one mode.

    `power_cap_w` is the power limit where it is lower than the board's default: a property of the GPU.
    """

    model: str
    suite: str
    mode: str
    cache: str
    simulated: bool
    power_cap_w: int | None = None

    def __str__(self) -> str:
        kind = "SIMULATED " if self.simulated and not self.model.startswith("SIMULATED") else ""
        cap = "" if self.power_cap_w is None else f", limited to {self.power_cap_w} W"
        return f"{kind}{self.model}{cap}, suite {self.suite}, {self.mode}, {self.cache}"

    @property
    def uncapped(self) -> Population:
        """The same without its power cap."""
        return self._replace(power_cap_w=None)


def population_of(device: Device, suite: str, mode: str, cache: str, *, simulated: bool) -> Population:
    """The population of a device in a run."""
    limit, default = device.power_limit_w, device.default_power_limit_w
    if limit is None or default is None or limit >= default * _CAP:
        return Population(device.name, suite, mode, cache, simulated)
    return Population(device.name, suite, mode, cache, simulated, round(limit))


class Work(NamedTuple):
    """What was timed: one case and kernel, or a ceiling."""

    name: str
    element: str
    flops: int
    bytes_moved: int


@dataclass(slots=True)
class Unit:
    """One device in one run. Counts are of rows; `ecc_errors` of errors."""

    run_id: str
    started_at: str
    node: str
    device: Device
    population: Population
    rows: int = 0
    faulty_clock: int = 0
    ecc_errors: int = 0
    xid: int = 0
    foreign: int = 0
    failed: int = 0
    incorrect: int = 0
    beside: tuple[Finding, ...] = field(default=(), kw_only=True)
    """What links (where `links_measured`) and exact products (where `bits_measured`) show."""
    links_measured: bool = field(default=False, kw_only=True)
    peers_measured: bool = field(default=False, kw_only=True)
    """Links between GPUs, and not only those to the host."""
    bits_measured: bool = field(default=False, kw_only=True)
    again: bool = field(default=False, kw_only=True)
    """Its run is a second measurement, which may leave out links and exact products."""

    @property
    def identity(self) -> str:
        """What identifies the GPU: its UUID, else its node and number."""
        return self.device.uuid or f"{self.node} {self.device.id}"

    @property
    def label(self) -> str:
        """`node-17 cuda:5`."""
        return f"{self.node} {self.device.id}"

    def started(self, now: datetime) -> datetime | None:
        """When the run started by its node's clock; None if that clock must be wrong."""
        try:
            started = datetime.fromisoformat(self.started_at)
        except ValueError:
            return None
        started = started if started.tzinfo else started.replace(tzinfo=UTC)
        return started if _EARLIEST <= started <= now + timedelta(hours=1) else None


Times = tuple[NDArray[np.intp], NDArray[np.intp], Array]
"""Three parallel arrays: index of unit, index of work, and a process's median (ns) or its logarithm."""


@dataclass(slots=True)
class Collection:
    """Units, works, and the median of every process in `chunks`, as indices into both."""

    units: list[Unit] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)
    chunks: list[Times] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """One line for each input that could not be used, or only in part."""

    def only(self, condition: Callable[[Unit], bool]) -> Collection:
        """The units that meet a condition, with their times."""
        place = np.full(len(self.units), -1)
        kept = [index for index, unit in enumerate(self.units) if condition(unit)]
        place[kept] = np.arange(len(kept))
        chunks = []
        for unit, work, ns in self.chunks:
            keep = place[unit] >= 0
            chunks.append((place[unit[keep]], work[keep], ns[keep]))
        return Collection([self.units[i] for i in kept], self.works, chunks, self.problems)

    def log_times(self) -> Times:
        """One log time per unit and work, by the low order statistic of its processes."""
        if not self.chunks:
            return np.empty(0, np.intp), np.empty(0, np.intp), np.empty(0)
        unit, work, ns = (np.concatenate(arrays) for arrays in zip(*self.chunks, strict=True))
        return low_processes(unit, work, np.log(ns))


def matrix(times: Times, units: list[int]) -> tuple[NDArray[np.intp], Array]:
    """Log times [units, works] of some units, NaN where absent; with the works that any of them has."""
    unit, work, log_ns = times
    position = np.full(max(int(unit.max(initial=-1)), *units, 0) + 1, -1)
    position[units] = np.arange(len(units))
    keep = position[unit] >= 0
    present = np.nonzero(np.bincount(work[keep]))[0]
    table = np.full((len(units), len(present)), np.nan)
    table[position[unit[keep]], np.searchsorted(present, work[keep])] = log_ns[keep]
    return present, table


def low_processes(unit: NDArray[np.intp], work: NDArray[np.intp], log_ns: Array) -> Times:
    """Of every unit and work the process at 40 %, the 2nd of 5: what spoils a process makes it slower."""
    key = np.sort(unit * (work.max(initial=0) + 1) + work)
    if not (key[1:] == key[:-1]).any():
        return unit, work, log_ns  # one process each, as in most sweeps: nothing to sort
    order = np.lexsort((log_ns, work, unit))
    unit, work, log_ns = unit[order], work[order], log_ns[order]
    first = np.ones(len(unit), dtype=bool)
    first[1:] = (unit[1:] != unit[:-1]) | (work[1:] != work[:-1])
    start = np.nonzero(first)[0]
    count = np.diff(np.append(start, len(unit)))
    low = start + low_position(count)
    return unit[start], work[start], log_ns[low]


def collect_rows(rows: Iterable[Row], into: Collection) -> None:
    """Add the rows of one run."""
    units: dict[str, int] = {}
    works = {work.name: index for index, work in enumerate(into.works)}
    timed: list[tuple[int, int, float]] = []
    for row in rows:
        if row.device_id not in units:
            units[row.device_id] = len(into.units)
            into.units.append(_unit(row))
        _count(into.units[units[row.device_id]], row)
        if row.median_ns is not None:
            if row.work not in works:
                works[row.work] = len(into.works)
                into.works.append(Work(row.work, row.element, row.flops, row.bytes_moved))
            timed.append((units[row.device_id], works[row.work], row.median_ns))
    if timed:
        unit, work, ns = zip(*timed, strict=True)
        into.chunks.append((np.array(unit, np.intp), np.array(work, np.intp), np.array(ns)))


def _unit(row: Row) -> Unit:
    device = DEVICE.decode(row.device)
    population = population_of(device, row.suite, row.mode, row.cache, simulated=row.simulated)
    return Unit(row.run_id, row.started_at, row.node, device, population)


def _count(unit: Unit, row: Row) -> None:
    unit.rows += 1
    unit.faulty_clock += row.faulty_clock
    unit.ecc_errors += row.ecc_errors
    unit.xid += row.xid
    unit.foreign += row.foreign
    unit.failed += row.status == "failed"
    unit.incorrect += row.status == "incorrect"
