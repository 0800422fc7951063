"""Rated bandwidth of links in one direction: NVLink or PCIe between the GPUs of a node, PCIe to the host."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files

import msgspec

from quantroof.hwprofiles.types import PcieLink

_LANE_BYTES_PER_S = {
    3: 8e9 / 8 * 128 / 130,
    4: 16e9 / 8 * 128 / 130,
    5: 32e9 / 8 * 128 / 130,
    6: 64e9 / 8 * 242 / 256,
}
"""One lane by generation: transfers per second times the share that the line code leaves (PCI-SIG)."""


class LinkFigure(msgspec.Struct, frozen=True, kw_only=True):
    """The vendor's figure of the link between the GPUs of a node: bytes per second in one direction."""

    kind: str
    bytes_per_s: float
    source: str
    joins: int | None = None
    """The most GPUs that it joins, None for those of a node."""


@lru_cache(maxsize=1)
def _shipped() -> list[tuple[str, LinkFigure]]:
    text = (files("quantroof") / "hwprofiles" / "links.toml").read_text()
    rows = [
        (
            row["prefix"],
            LinkFigure(
                kind=row["kind"],
                bytes_per_s=row["gbps"] * 1e9,
                source=row["source"],
                joins=row.get("joins"),
            ),
        )
        for row in tomllib.loads(text)["link"]
    ]
    return sorted(rows, key=lambda row: -len(row[0]))


def link_figure(profile_id: str) -> LinkFigure | None:
    """The link that boards of this profile have, None if none is known."""
    return next((link for prefix, link in _shipped() if profile_id.startswith(prefix)), None)


def pcie_bytes_per_s(link: PcieLink | None) -> float | None:
    """What a PCIe link carries in one direction before the overhead of packets, at its best generation and
    width; None if either is not known."""
    if link is None:
        return None
    lane = _LANE_BYTES_PER_S.get(link.max_generation or link.generation or 0)
    width = link.max_width or link.width
    return None if lane is None or width is None else lane * width
