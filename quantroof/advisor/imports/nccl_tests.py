"""The text that nccl-tests print for all-reduces: the node's own links, as ceilings per message size."""

from __future__ import annotations

import re
from collections.abc import Iterator

from quantroof.advisor.imports.links import link_ceiling, reduce_name
from quantroof.errors import UsageError
from quantroof.records.lines import Ceiling

# size, count, type, redop, root, then out of place: time in us, algbw, busbw in GB/s
_ROW = re.compile(
    r"^\s*(?P<size>\d+)\s+\d+\s+\w+\s+\w+\s+-?\d+\s+(?P<us>[\d.]+)\s+[\d.]+\s+(?P<busbw>[\d.]+)(?:\s|$)"
)
_RANK = re.compile(r"^#\s+Rank\s+(?P<rank>\d+)\b.*?device\s+(?P<device>\d+)")


def read(text: str, where: str) -> list[Ceiling]:
    """One ceiling per message size. UsageError where the text holds no all-reduce of two GPUs or more."""
    lines = text.splitlines()
    ranks = {match["rank"] for line in lines if (match := _RANK.match(line))}
    if len(ranks) < 2:
        raise UsageError("names no ranks on two GPUs", where=where, hint="the output of all_reduce_perf -g N")
    ceilings = list(_ceilings(lines, len(ranks)))
    if not ceilings:
        raise UsageError("holds no rows of an all-reduce", where=where, hint="the output of all_reduce_perf")
    return ceilings


def _ceilings(lines: list[str], gpus: int) -> Iterator[Ceiling]:
    """Bytes are what one link carries in one direction: the bus bandwidth times the time."""
    for line in lines:
        match = _ROW.match(line)
        if match is None or float(match["us"]) <= 0 or float(match["busbw"]) <= 0:
            continue
        seconds = float(match["us"]) * 1e-6
        carried = round(float(match["busbw"]) * 1e9 * seconds)
        kernel = f"nccl-tests/{match['size']}"
        yield link_ceiling(reduce_name(gpus), kernel, carried, seconds, status="ok", method="cuda-events")
