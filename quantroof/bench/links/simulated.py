"""Links of simulated devices: the figure of their profile with noise, and injected faults.

The shares of the figure are plausible and not measured on anything; every record has the status `simulated`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations

import numpy as np

from quantroof.bench.links.bus import LinkPlan, bus_bytes, name_of
from quantroof.bench.simulated.device import NoiseModel
from quantroof.hwprofiles.links import link_figure, pcie_bytes_per_s
from quantroof.hwprofiles.types import Device, PcieLink
from quantroof.records.lines import Ceiling, Timing

_SHARE = 0.85
_LATENCY_NS = 20_000.0
_BROKEN = 0.5  # share of the rate that a GPU with fault `link` keeps
_HOST = PcieLink(generation=5, width=16, max_generation=5, max_width=16)
_BYTES = 256 << 20
_SAMPLES = 7
_NO_ANSWER = "no answer within 120 s: killed (injected fault)"


@dataclass(frozen=True, slots=True)
class _World:
    devices: Sequence[Device]

    def copy(self, device: Device, name: str, rate: float) -> Ceiling:
        """One copy at a rate in bytes per second."""
        return self.line(device, name, _BYTES, _BYTES / rate * 1e9, None)

    def line(self, device: Device, name: str, moved: int, ns: float, size: int | None) -> Ceiling:
        """One record; equal names have equal noise."""
        seed = int.from_bytes(hashlib.sha256(f"{device.id}/{name}/{size}".encode()).digest()[:8], "big")
        samples = NoiseModel().samples_ns(ns, _SAMPLES, np.random.default_rng(seed))
        timing = Timing(
            samples_ns=samples, calls_per_sample=1, cache="cold", method="simulated",
            stopped_by="max_samples", copies=1, rotated_bytes=0,
        )  # fmt: skip
        return Ceiling(
            device=device.id, quantity="link", name=name, kernel="simulated", status="simulated",
            bytes_moved=moved, shape=None if size is None else (size,), timing=timing,
        )  # fmt: skip

    def untimed(self, device: Device, name: str, reason: str, *, failed: bool) -> Ceiling:
        """What could not be simulated, or failed by an injected fault."""
        return Ceiling(
            device=device.id, quantity="link", name=name, kernel="simulated",
            status="failed" if failed else "skipped", reason=reason,
        )  # fmt: skip


def simulated_links(devices: Sequence[Device], plan: LinkPlan) -> Iterator[Ceiling]:
    """Host copies, copies between GPUs and collectives of one simulated node."""
    world, first = _World(devices), devices[0]
    figure = link_figure(first.profile_id or "")
    able = pcie_bytes_per_s(_HOST) or 0.0
    if figure is not None and figure.kind.startswith("PCIe"):
        able = figure.bytes_per_s
    for device in devices:
        host = able * _SHARE * ((device.pcie or _HOST).width or 16) / 16
        yield world.copy(device, "host_to_device", host)
        yield world.copy(device, "device_to_host", host)
    if figure is None:
        yield world.untimed(first, "peer_copy", "the profile has no figure of a link", failed=False)
        return
    rates = {device.id: figure.bytes_per_s * _SHARE * _kept(device) for device in devices}
    for source, target in permutations(devices, 2):
        if plan.pairs or (devices.index(source) + 1) % len(devices) == devices.index(target):
            yield world.copy(source, f"peer_copy/{target.id}", min(rates[source.id], rates[target.id]))
    ids = [device.id for device in devices]
    for collective in plan.collectives:
        name = name_of(collective, ids)
        if any(device.injected_fault == "nolink" for device in devices):
            yield world.untimed(first, name, _NO_ANSWER, failed=True)
            continue
        for size in plan.sizes:
            moved = bus_bytes(collective, size, len(ids))
            yield world.line(first, name, moved, _LATENCY_NS + moved / min(rates.values()) * 1e9, size)


def _kept(device: Device) -> float:
    return _BROKEN if device.injected_fault == "link" else 1.0
