"""The links of a node's GPUs, in separate processes, so that a failure costs only its own ceilings."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from quantroof.bench.links.bus import BRIEF, Collective, LinkPlan, name_of
from quantroof.bench.links.simulated import simulated_links
from quantroof.bench.side_by_side import together
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Ceiling, Status

_TIME_LIMIT_S = 120.0
_ROOM = "quantroof.bench.links"
_COPY, _COLLECTIVE = "torch.copy_", "torch.distributed"
_NOT_THE_LINK = ("have NCCL built in", "ModuleNotFoundError", "ImportError", "OutOfMemoryError")
Copies = Literal["host", "neighbors", "pairs"]


def link_ceilings(devices: Sequence[Device], plan: LinkPlan = BRIEF) -> Iterator[Ceiling]:
    """Copies to and from the host and between GPUs, and collectives over all of them; a reason where there
    are none."""
    if len(devices) > 1 and all(device.kind == "sim" for device in devices):
        yield from simulated_links(devices, plan)
    gpus = [device for device in devices if device.kind == "cuda"]
    if not gpus:
        return
    ids, environment = [gpu.id for gpu in gpus], _environment(gpus)
    yield from copies("host", ids, environment)
    if len(gpus) == 1 or any(gpu.mig for gpu in gpus):
        why = "MIG slices have no links" if gpus[0].mig else "a link needs two GPUs, and one is measured"
        yield _untimed(gpus[0].id, "peer_copy", _COPY, "skipped", why)
        yield _untimed(gpus[0].id, "all_reduce", f"{_COLLECTIVE}/nccl", "skipped", why)
        return
    yield from copies("pairs" if plan.pairs else "neighbors", ids, environment)
    if plan.collectives:
        yield from collectives(ids, environment, plan)


def copies(
    what: Copies, ids: Sequence[str], environment: Mapping[str, str], limit_s: float = _TIME_LIMIT_S
) -> Iterator[Ceiling]:
    """One ceiling per copy; a failure of the process is one failed record."""
    lines, why = together([([f"{_ROOM}.copies", what, *ids], environment)], limit_s, Ceiling)
    yield from lines
    if why is not None:
        after = lines[-1].device if lines else ids[0]
        yield _untimed(after, "host_copy" if what == "host" else "peer_copy", _COPY, _status(why), why)


def collectives(
    ids: Sequence[str], environment: Mapping[str, str], plan: LinkPlan, limit_s: float = _TIME_LIMIT_S
) -> Iterator[Ceiling]:
    """One process per rank; they meet through a file."""
    names, sizes = ",".join(plan.collectives), ",".join(map(str, plan.sizes))
    with tempfile.TemporaryDirectory(prefix="quantroof-link-") as folder:
        store = str(Path(folder) / "store")
        ranks = [
            ([f"{_ROOM}.collectives", str(rank), store, names, sizes, *ids], environment)
            for rank in range(len(ids))
        ]
        lines, why = together(ranks, limit_s, Ceiling)
    yield from lines
    if why is not None:
        yield _untimed(ids[0], name_of(_next(plan, lines), ids), _COLLECTIVE, _status(why), why)


def _next(plan: LinkPlan, lines: Sequence[Ceiling]) -> Collective:
    """The collective that was running after these records."""
    begun = dict.fromkeys(line.name.partition("/")[0] for line in lines)
    full = sum(line.name.startswith(f"{name}/") for name in list(begun)[-1:] for line in lines)
    place = len(begun) - (full < len(plan.sizes)) if begun else 0
    return plan.collectives[min(place, len(plan.collectives) - 1)]


def _status(why: str) -> Status:
    """A library or memory that is missing does not count against a link."""
    return "skipped" if any(words in why for words in _NOT_THE_LINK) else "failed"


def _environment(gpus: Sequence[Device]) -> dict[str, str]:
    """Every rank sees these GPUs, in the run's order: NCCL looks for the paths between them."""
    uuids = [gpu.uuid for gpu in gpus if gpu.uuid is not None]
    return {"CUDA_VISIBLE_DEVICES": ",".join(uuids)} if len(uuids) == len(gpus) else {}


def _untimed(device: str, name: str, kernel: str, status: Status, reason: str) -> Ceiling:
    return Ceiling(device=device, quantity="link", name=name, kernel=kernel, status=status, reason=reason)
