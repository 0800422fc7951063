"""A look at the GPUs of a running job, between two training steps."""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING, Any

from quantroof.bench.sniff.times import Place, ProbeTimes
from quantroof.errors import QuantroofError, UsageError
from quantroof.files import require
from quantroof.fleet.sniff import Sniff, judge_ranks

if TYPE_CHECKING:
    import torch


def sniff(group: Any = None, *, seconds: float = 2.0, past: Sniff | None = None) -> Sniff:
    """Measure every rank of a torch.distributed group for two seconds, and name the slow ones.

    Every rank of the group must call it at the same point, as any collective; the result is the same on all.
    Half of the time goes to a copy and a bf16 product on each GPU; where a rank is slow, the other half
    repeats both. Ranks are judged by the rule of the fleet: four or more of one model by their siblings, and
    with `past`, the result of an earlier sniff, each by itself. What is allocated is freed again.
    """
    if not seconds > 0:
        raise UsageError("seconds must be more than 0", where="sniff")
    dist = require("torch.distributed", "sniff", "cpu")
    if not (dist.is_available() and dist.is_initialized()):
        raise UsageError("torch.distributed has no group", where="sniff", hint="init_process_group first")
    if dist.get_rank(group) < 0:
        raise UsageError("this process is not a rank of the group", where="sniff")
    began = time.monotonic()
    from quantroof.bench.sniff.probe import device_of_rank, place_of, room_bytes

    device = device_of_rank(dist.get_backend(group))
    reported = _from_all((place_of(device, platform.node()), room_bytes(device)), group)
    places: list[Place] = [place for place, _ in reported]
    size = min(room for _, room in reported)
    first = _measured(device, size, seconds / 2, group)
    result = judge_ranks(places, first, None, past, time.monotonic() - began)
    if any(finding.level == "degraded" for rank in result.ranks for finding in rank.reasons):
        again = _measured(device, size, seconds / 2, group)
        result = judge_ranks(places, first, again, past, time.monotonic() - began)
    return result


def _measured(device: torch.device, size: int, seconds: float, group: Any) -> list[ProbeTimes]:
    """The times of all ranks. A rank whose probe fails reports it, and the others do not wait for it."""
    import torch.distributed as dist

    from quantroof.bench.sniff import probe

    met, before = 0, probe.reserved_bytes(device)

    def barrier() -> None:
        nonlocal met
        met += 1
        dist.barrier(group)

    try:
        own = probe.probe(device, size, seconds, barrier)
    except (RuntimeError, QuantroofError) as error:
        own = ProbeTimes(error=str(error).splitlines()[0])
    probe.release(device, before)
    while met < probe.BARRIERS:
        barrier()
    return _from_all(own, group)


def _from_all(own: Any, group: Any) -> list[Any]:
    """What every rank reports, in the order of the group."""
    import torch.distributed as dist

    reported: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(reported, own, group=group)
    return reported
