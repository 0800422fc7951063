"""Which GPUs a CUDA process sees, and in which order: CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER.

The rules are CUDA's (Programming Guide, "CUDA Environment Variables"), with torch's reading of what the
guide leaves open (torch/cuda/__init__.py, `_parse_visible_devices`): the list ends at the first entry that
names nothing, and an entry given twice hides everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from quantroof.hwprofiles.gpus import PhysicalGpu
from quantroof.hwprofiles.types import Device

_NUMBER = re.compile(r"[+-]?\d+")


def visible(boards: Sequence[PhysicalGpu], environment: Mapping[str, str]) -> tuple[Device, ...]:
    """The devices a CUDA process started with this environment can use, numbered as it numbers them.

    MIG slices stand in for their GPU. Without CUDA_VISIBLE_DEVICES every slice is listed, although one
    process sees a single slice: a worker gets its own by UUID.
    """
    ordered = _ordered(boards, environment.get("CUDA_DEVICE_ORDER", "FASTEST_FIRST"))
    text = environment.get("CUDA_VISIBLE_DEVICES")
    if text is None:
        chosen = [device for board in ordered for device in usable(board)]
    else:
        chosen = _chosen(ordered, [entry.strip() for entry in text.split(",")])
    return tuple(replace(device, index=index) for index, device in enumerate(chosen))


def usable(board: PhysicalGpu) -> tuple[Device, ...]:
    """The board itself, or its slices where MIG is on."""
    return (board.device,) if board.slices is None else board.slices


def _ordered(boards: Sequence[PhysicalGpu], order: str) -> list[PhysicalGpu]:
    """PCI order is NVML's; FASTEST_FIRST is a heuristic that CUDA publishes in outline only.

    Lanes x clock stands in for it. The sort is stable, so equal boards stay in PCI order, as in CUDA.
    """
    if order == "PCI_BUS_ID":
        return list(boards)
    return sorted(boards, key=lambda b: (b.cores or 0) * (b.device.max_sm_clock_mhz or 0), reverse=True)


def _chosen(ordered: list[PhysicalGpu], entries: list[str]) -> list[Device]:
    """The devices named, up to the first entry that names none; none if one is repeated."""
    kind = next((prefix for prefix in ("GPU-", "MIG-") if entries[0].startswith(prefix)), None)
    chosen: list[Device] = []
    for entry in entries:
        if kind is not None and not entry.startswith(kind):
            break
        device = _by_uuid(ordered, entry) if kind else _by_number(ordered, entry)
        if device is None:
            break
        if device in chosen:
            return []
        chosen.append(device)
    return chosen


def _by_number(ordered: list[PhysicalGpu], entry: str) -> Device | None:
    match = _NUMBER.match(entry)
    index = int(match[0]) if match else -1
    if not 0 <= index < len(ordered):
        return None
    return next(iter(usable(ordered[index])), None)  # a board under MIG shows its first slice


def _by_uuid(ordered: list[PhysicalGpu], entry: str) -> Device | None:
    """A GPU or slice by UUID, or by a beginning of it that only one has."""
    if entry.startswith("MIG-"):
        matches = [s for board in ordered for s in board.slices or () if (s.uuid or "").startswith(entry)]
        return matches[0] if len(matches) == 1 else None
    boards = [board for board in ordered if (board.device.uuid or "").startswith(entry)]
    return next(iter(usable(boards[0])), None) if len(boards) == 1 else None
