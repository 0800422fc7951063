"""The links of a node as tables: copies by pair, and collectives by message size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from quantroof.analysis.links import HOST, link_table, words
from quantroof.reports.text.table import plain
from quantroof.units import NONE, percent, significant, size, time

if TYPE_CHECKING:
    from quantroof.analysis.links import Collective, LinkTable
    from quantroof.records.directory import Run

_GB = 1e9
_HOST_HEADINGS = ("from host", "to host")


@dataclass(frozen=True, slots=True)
class Grid:
    """One table: its title, headings and rows; all columns but the first hold numbers."""

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def link_grids(table: LinkTable) -> Iterator[Grid]:
    """Copies first, then one table of all collectives."""
    devices = list(dict.fromkeys([*(d for d, _ in table.host), *(d for pair in table.pairs for d in pair)]))
    short = {device: _short(device) for device in devices}
    if devices:
        headings = ("from", *_HOST_HEADINGS, *(f"to {short[d]}" for d in devices if table.pairs))
        rows = [
            (
                device,
                *(_rate(table.host.get((device, name))) for name in HOST),
                *(_rate(table.pairs.get((device, target))) for target in devices if table.pairs),
            )
            for device in devices
        ]
        yield Grid(f"copies, GB/s{_able(table)}", headings, tuple(rows))
    if table.collectives:
        yield _collectives(table)


def run_grids(run: Run) -> Iterator[Grid]:
    """The tables of a run between whose GPUs something was timed."""
    table = link_table(run.info.devices, run.ceilings)
    if table.between_gpus:
        yield from link_grids(table)


def link_lines(table: LinkTable) -> Iterator[str]:
    """The tables as lines of text, and what was not timed."""
    for grid in link_grids(table):
        yield grid.title
        yield from (f"  {line}" for line in plain(grid.headings, grid.rows, right=grid.headings[1:]))
    yield from (f"  not timed: {text}" for text in table.untimed)


def link_document(table: LinkTable) -> dict[str, Any]:
    """Everything in bytes and seconds, for programs."""
    figure = table.figure
    return {
        "link": figure and {"kind": figure.kind, "bytes_per_s": figure.bytes_per_s, "source": figure.source},
        "host": [{"device": d, "name": n, "bytes_per_s": rate} for (d, n), rate in table.host.items()],
        "pairs": [{"from": s, "to": t, "bytes_per_s": rate} for (s, t), rate in table.pairs.items()],
        "collectives": [_document(one) for one in table.collectives],
        "not_timed": list(table.untimed),
    }


def _document(one: Collective) -> dict[str, Any]:
    rows = [
        {"bytes": size, "seconds": one.seconds[size], "bus_bytes_per_s": rate}
        for size, rate in one.bus.items()
    ]
    return {"name": one.name, "devices": list(one.devices), "sizes": rows}


def _collectives(table: LinkTable) -> Grid:
    """A row per message size: the time, and the bus bandwidth with its share of the link's figure."""
    sizes = sorted({size for one in table.collectives for size in one.bus})
    headings = ["size"]
    for one in table.collectives:
        headings += [f"{words(one.name)} time", "bus GB/s"]
    able = table.figure.bytes_per_s if table.figure else None
    rows = []
    for count in sizes:
        row = [size(count)]
        for one in table.collectives:
            seconds, rate = one.seconds.get(count), one.bus.get(count)
            share = f" ({percent(rate / able)})" if rate is not None and able else ""
            row += [NONE if seconds is None else time(seconds * 1e9), _rate(rate) + share]
        rows.append(tuple(row))
    gpus = max(len(one.devices) for one in table.collectives)
    return Grid(f"collectives over {gpus} GPUs{_able(table)}", tuple(headings), tuple(rows))


def _able(table: LinkTable) -> str:
    figure = table.figure
    return "" if figure is None else f"; {figure.kind} carries {significant(figure.bytes_per_s / _GB)} GB/s"


def _short(device: str) -> str:
    """`cuda:3`; the number alone of a simulated device, whose id is long."""
    return device.partition("#")[2] or "0" if device.startswith("sim:") else device


def _rate(rate: float | None) -> str:
    return NONE if rate is None else significant(rate / _GB)
