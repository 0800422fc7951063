"""The links between the GPUs of one node."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

import msgspec

from quantroof.analysis.roofs import ceiling_rate
from quantroof.hwprofiles.links import link_figure
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Ceiling

_ALL_REDUCE, _COPY = "all_reduce/", "peer_copy/"
# The least time of a small all-reduce: an assumption that --link-latency replaces by the node's own.
DEFAULT_LATENCY_S = 10e-6
_SMALL_BYTES = 64 << 10


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One direction of a GPU's link to its peers: bytes per second, and the least time of an all-reduce."""

    kind: str
    bytes_per_s: float
    latency_s: float = DEFAULT_LATENCY_S
    source: str
    joins: int | None = None
    """The most GPUs that it joins, None for those of a node."""
    from_catalog: bool = False
    """Whether it is the catalog's figure, which fitted costs of all-reduces may refine."""

    def all_reduce_seconds(self, payload_bytes: float, ways: int) -> float:
        """Ring all-reduce: each GPU sends 2 (t - 1) / t of the payload (Patarasuk & Yuan 2009)."""
        return self.latency_s + 2 * (ways - 1) / ways * payload_bytes / self.bytes_per_s


def link_of(profile_id: str) -> Link | None:
    """The link that boards of this profile have, None if none is known."""
    figure = link_figure(profile_id)
    if figure is None:
        return None
    return Link(
        kind=figure.kind,
        bytes_per_s=figure.bytes_per_s,
        source=figure.source,
        joins=figure.joins,
        from_catalog=True,
    )


def measured_link(ceilings: Sequence[Ceiling], device: Device) -> Link | None:
    """The link that a run measured with an all-reduce of this device and another, else by copies.

    Its rate is the bus bandwidth: what one link carries in one direction, as the formula of a ring needs it.
    Of copies the slowest counts, because a ring passes every GPU. None if the run measured neither.
    """
    reduced = [
        c
        for c in ceilings
        if c.quantity == "link"
        and c.name.startswith(_ALL_REDUCE)
        and device.id in c.name.removeprefix(_ALL_REDUCE).split("+")
    ]
    rates = [(rate, c.name) for c in reduced if (rate := ceiling_rate(c)) is not None]
    if not rates:
        return _copied_link(ceilings, device)
    rate, name = max(rates)
    return Link(
        kind="the measured link",
        bytes_per_s=rate,
        latency_s=_least_seconds(reduced),
        source=f"{name}, measured in this run",
    )


def _copied_link(ceilings: Iterable[Ceiling], device: Device) -> Link | None:
    """The slowest of the best copies between this device and each of its peers."""
    best: dict[str, float] = {}
    for ceiling in ceilings:
        if ceiling.quantity == "link" and ceiling.name.startswith(_COPY) and ceiling.device == device.id:
            best[ceiling.name] = max(best.get(ceiling.name, 0.0), ceiling_rate(ceiling) or 0.0)
    slowest = min(best, key=lambda name: best[name], default=None)
    if slowest is None or best[slowest] <= 0:
        return None
    return Link(
        kind="the measured link", bytes_per_s=best[slowest], source=f"{slowest}, a copy measured in this run"
    )


def _least_seconds(reduced: list[Ceiling]) -> float:
    """The time of the smallest all-reduce, if it was small enough for its bytes not to count."""
    small = [
        (c.bytes_moved, median(c.timing.samples_ns) / 1e9)
        for c in reduced
        if c.timing is not None and c.bytes_moved is not None and c.bytes_moved <= _SMALL_BYTES
    ]
    return min(small)[1] if small else DEFAULT_LATENCY_S
