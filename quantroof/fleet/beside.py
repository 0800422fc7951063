"""Measurements that are not cases: findings from links and exact products, and tables of a node's links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace as with_fields
from datetime import datetime, timedelta

from msgspec.structs import replace

from quantroof.analysis.bits import judge_bits
from quantroof.analysis.links import LinkTable, judge_links, link_table
from quantroof.finding import Finding
from quantroof.fleet.collection import Collection, Unit, population_of
from quantroof.records.directory import Run

_DAY = timedelta(days=1)


def add_beside(run: Run, units: Iterable[Unit]) -> None:
    """Add the findings from links and exact products to the units of a run."""
    links = [line for line in run.ceilings if line.quantity == "link"]
    slow = judge_links(run.info.devices, links) if links else {}
    peers = bool(links) and link_table(run.info.devices, links).between_gpus
    wrong = judge_bits(run.bits)
    for unit in units:
        unit.beside = (*wrong.get(unit.device.id, ()), *slow.get(unit.device.id, ()))
        unit.links_measured = bool(links)
        unit.peers_measured = peers
        unit.bits_measured = any(line.device == unit.device.id for line in run.bits)
        unit.again = run.info.options.again


def units_beside(run: Run) -> list[Unit]:
    """The devices of a run with what its links and exact products show, and without times."""
    info, options = run.info, run.info.options
    units = []
    for device in run.info.devices:
        kind = population_of(device, info.suite, options.mode, options.cache, simulated=info.simulated)
        units.append(Unit(info.run_id, info.started_at, info.host.name or "unnamed", device, kind))
    add_beside(run, units)
    return units


def confirmed_links(units: Sequence[Unit], retest: Collection | None) -> list[Unit]:
    """The units with the findings that a second measurement of their links shows as well; failures are
    kept."""
    again = {(u.identity, u.population): u for u in (retest.units if retest else ()) if u.links_measured}
    return [confirmed_unit(unit, again.get((unit.identity, unit.population))) for unit in units]


def confirmed_unit(unit: Unit, again: Unit | None) -> Unit:
    """One unit beside its second measurement."""
    if again is None or not unit.beside:
        return unit
    codes = {finding.code for finding in again.beside}
    kept = [_again(f) for f in unit.beside if f.level == "failed" or f.code in codes]
    if len(kept) < len(unit.beside):
        text = "a link was slow at first, but not when it was measured again"
        kept.append(Finding("note", "link_cleared", text))
    return with_fields(unit, beside=tuple(kept))


def _again(finding: Finding) -> Finding:
    return finding if finding.level == "failed" else replace(finding, text=f"{finding.text}, measured again")


def completed(units: Sequence[Unit], past: Mapping[int, Sequence[int]], now: datetime) -> list[Unit]:
    """All units; a second measurement has what its run left out and the first one of the same day had.

    `past` holds, by the index of a unit, those of earlier runs of the same GPU, the latest last.
    """
    whole = list(units)
    for index, earlier in past.items():
        if units[index].again:
            first = [units[i] for i in earlier if _within_a_day(units[i], units[index], now)]
            whole[index] = _completed(units[index], first[-1]) if first else units[index]
    return whole


def _within_a_day(first: Unit, again: Unit, now: datetime) -> bool:
    started, later = first.started(now), again.started(now)
    return not first.again and started is not None and later is not None and later - started < _DAY


def _completed(again: Unit, first: Unit) -> Unit:
    """A second measurement confirms what its run measured of the links, and leaves the rest as it was."""
    before = confirmed_unit(first, again if again.links_measured else None).beside
    new = tuple(f for f in again.beside if f.level == "failed" and f.code not in {b.code for b in before})
    return with_fields(
        again,
        beside=(*before, *new),
        links_measured=again.links_measured or first.links_measured,
        peers_measured=again.peers_measured or first.peers_measured,
        bits_measured=again.bits_measured or first.bits_measured,
    )


def node_links(runs: Iterable[Run]) -> LinkTable | None:
    """The tables of the last run that measured links, None if none did."""
    tables = [
        link_table(run.info.devices, run.ceilings)
        for run in runs
        if any(line.quantity == "link" for line in run.ceilings)
    ]
    return tables[-1] if tables else None
