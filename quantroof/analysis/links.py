"""The links of one node: what was measured as tables, and which GPU's links are slow or broken.

A link is compared with its rated bandwidth (`hwprofiles.links`) and with the links of the node's other GPUs.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median, quantiles

from quantroof import units
from quantroof.analysis.roofs import ceiling_rate
from quantroof.finding import Finding
from quantroof.hwprofiles.catalog import match
from quantroof.hwprofiles.links import LinkFigure, link_figure, pcie_bytes_per_s
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Ceiling

HOST_FLOOR = 0.70
"""Least share of what PCIe carries that a copy to or from the host reaches. The health checks that Azure
publishes ask for 0.76 of generation 4 and 0.83 of generation 5."""
FABRIC_FLOOR = 0.45
"""Least share of NVLink's figure that copies between GPUs and collectives reach. The same checks ask an
all-reduce for 0.76 (A100), 1.02 (H100) and 0.48 (GB200) of it."""
PEER_FLOOR = 0.95
"""Least share of the other GPUs' copies that the copies of one GPU reach."""
_ALIKE = 0.95
"""Where three quarters of the pairs lie this close together, every pair is expected to reach PEER_FLOOR."""
HOST = ("host_to_device", "device_to_host")
_PEER = "peer_copy/"
_COPIES = "copies with its peers"


@dataclass(frozen=True, slots=True)
class Collective:
    """One collective over all GPUs: bus bandwidth (bytes/s) and seconds by message size."""

    name: str
    devices: tuple[str, ...]
    bus: dict[int, float]
    seconds: dict[int, float]


@dataclass(frozen=True, slots=True)
class LinkTable:
    """Rates in bytes/s: `host` by device and direction, `pairs` by source and target; the rated bandwidth
    of a link; `untimed` has the reason of each skipped or failed measurement."""

    host: dict[tuple[str, str], float]
    pairs: dict[tuple[str, str], float]
    collectives: tuple[Collective, ...]
    figure: LinkFigure | None
    untimed: tuple[str, ...]

    @property
    def between_gpus(self) -> bool:
        """Whether anything between two GPUs was timed."""
        return bool(self.pairs or self.collectives)


def link_table(devices: Sequence[Device], ceilings: Iterable[Ceiling]) -> LinkTable:
    """The links of a run as tables."""
    host, pairs, untimed = dict[tuple[str, str], float](), dict[tuple[str, str], float](), []
    together: dict[str, dict[int, tuple[float, float]]] = defaultdict(dict)
    for line in ceilings:
        if line.quantity != "link":
            continue
        rate = ceiling_rate(line)
        if rate is None or line.timing is None:
            untimed.append(f"{_label(line)}: {line.reason}")
        elif line.name in HOST:
            host[line.device, line.name] = rate
        elif line.name.startswith(_PEER):
            pairs[line.device, line.name.removeprefix(_PEER)] = rate
        elif line.shape is not None:
            together[line.name][line.shape[0]] = (rate, median(line.timing.samples_ns) / 1e9)
    return LinkTable(host, pairs, tuple(_collectives(together)), _figure(devices), tuple(untimed))


def _collectives(together: Mapping[str, Mapping[int, tuple[float, float]]]) -> Iterator[Collective]:
    for text, sizes in together.items():
        name, _, members = text.partition("/")
        bus = {size: rate for size, (rate, _) in sizes.items()}
        seconds = {size: duration for size, (_, duration) in sizes.items()}
        yield Collective(name, tuple(members.split("+")), bus, seconds)


def _figure(devices: Sequence[Device]) -> LinkFigure | None:
    """The figure of the link that joins these GPUs; None for a mix of models."""
    profiles = {profile.id for device in devices if (profile := match(device)) is not None}
    figure = link_figure(profiles.pop()) if len(profiles) == 1 else None
    return None if figure is not None and figure.joins is not None and figure.joins < len(devices) else figure


def judge_links(devices: Sequence[Device], ceilings: Sequence[Ceiling]) -> dict[str, list[Finding]]:
    """The findings of every device about its links. A slow collective is a finding on all of its GPUs, unless
    slow copies identify one GPU."""
    table = link_table(devices, ceilings)
    findings: dict[str, list[Finding]] = defaultdict(list)
    for device, finding in (*_failures(ceilings), *_slow_host(devices, table), *_slow_peers(table)):
        findings[device].append(finding)
    names_a_gpu = any(
        finding.code in ("link_slow", "link_pair") for own in findings.values() for finding in own
    )
    for device, finding in () if names_a_gpu else _slow_collectives(table):
        findings[device].append(finding)
    return dict(findings)


def _label(line: Ceiling) -> str:
    """`cuda:0 peer-copy`, `all-reduce over 8 GPUs`."""
    name, _, members = line.name.partition("/")
    gpus = members.count("+") + 1
    return f"{words(name)} over {gpus} GPUs" if gpus > 1 else f"{line.device} {words(name)}"


def _failures(ceilings: Iterable[Ceiling]) -> Iterator[tuple[str, Finding]]:
    for line in ceilings:
        if line.quantity != "link" or line.status not in ("failed", "incorrect"):
            continue
        name, _, members = line.name.partition("/")
        for device in members.split("+") if "+" in members else [line.device]:
            yield device, Finding("failed", "link_failed", f"{words(name)}: {line.reason}")


def _slow_host(devices: Sequence[Device], table: LinkTable) -> Iterator[tuple[str, Finding]]:
    for direction in HOST:
        rates = {d: rate for (d, name), rate in table.host.items() if name == direction}
        for device in devices:
            rate = rates.get(device.id)
            others = [other for d, other in rates.items() if d != device.id]
            able = pcie_bytes_per_s(device.pcie) or (median(others) if others else None)
            if rate is not None and able is not None and rate < HOST_FLOOR * able:
                what = "what its PCIe link carries" if device.pcie else "the other GPUs'"
                yield device.id, _slow("link_host", words(direction), rate, able, what)


def _slow_peers(table: LinkTable) -> Iterator[tuple[str, Finding]]:
    """GPUs whose copies are slower than those of the others, then single pairs of GPUs that are not."""
    members = list(dict.fromkeys(device for pair in table.pairs for device in pair))
    own = {d: sorted(rate for pair, rate in table.pairs.items() if d in pair) for d in members}
    slow = set()
    if len(members) > 2 and len({len(rates) for rates in own.values()}) == 1:
        usual = [median(rates) for rates in zip(*own.values(), strict=True)]
        for device, rates in own.items():
            ratio = median(mine / theirs for mine, theirs in zip(rates, usual, strict=True))
            if ratio < PEER_FLOOR:
                slow.add(device)
                reached = median(rates)
                yield (
                    device,
                    _slow("link_slow", _COPIES, reached, reached / ratio, "the others'"),
                )
    yield from _slow_pairs(table, slow)
    if table.figure is None or not _is_fabric(table.figure):
        return
    for device in members:
        if device not in slow and own[device][-1] < FABRIC_FLOOR * table.figure.bytes_per_s:
            able, name = table.figure.bytes_per_s, table.figure.kind
            yield device, _slow("link_slow", _COPIES, own[device][-1], able, name)


def _slow_pairs(table: LinkTable, slow: set[str]) -> Iterator[tuple[str, Finding]]:
    rates = [rate for pair, rate in table.pairs.items() if not slow & set(pair)]
    if len(rates) < 4:
        return
    low, middle, high = quantiles(rates, n=4)
    if low < _ALIKE * high:
        return  # some pairs have a longer way than others
    for (source, target), rate in table.pairs.items():
        if not slow & {source, target} and rate < PEER_FLOOR * middle:
            yield source, _slow("link_pair", f"the copy to {target}", rate, middle, "the other pairs'")


def _slow_collectives(table: LinkTable) -> Iterator[tuple[str, Finding]]:
    figure = table.figure
    if figure is None or not _is_fabric(figure):
        return
    for one in table.collectives:
        best = max(one.bus.values())
        if best < FABRIC_FLOOR * figure.bytes_per_s:
            what = f"{words(one.name)} over {len(one.devices)} GPUs"
            for device in one.devices:
                yield device, _slow("link_collective", what, best, figure.bytes_per_s, figure.kind)


def _is_fabric(figure: LinkFigure) -> bool:
    """PCIe is shared and has no floor: what it reaches depends on switches and sockets."""
    return figure.kind.startswith("NVLink")


def _slow(code: str, what: str, rate: float, able: float, whose: str) -> Finding:
    reached = f"{units.si(rate, 'B/s')}, {units.percent(rate / able)} of {whose}"
    return Finding("degraded", code, f"{what}: {reached}")


def words(name: str) -> str:
    """The display name of a collective: `all-reduce` for `all_reduce`."""
    return name.replace("host_copy", "host copy").replace("peer_copy", "peer copy").replace("_", "-")
