"""The JSON of `nvbandwidth -j`: copies between the GPUs of a node, as ceilings of its links."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from quantroof.advisor.imports.links import link_ceiling
from quantroof.errors import UsageError
from quantroof.files import MALFORMED, malformed
from quantroof.records.lines import Ceiling

# Copies in one direction; the bidirectional tests add both up.
_ONE_WAY = tuple(f"device_to_device_memcpy_{way}_{by}" for way in ("read", "write") for by in ("ce", "sm"))
_BUFFER_MIB = 512  # its default, where the file does not state one
_NONE = "N/A"


class _Test(msgspec.Struct):
    name: str
    status: str
    bandwidth_matrix: list[list[str | float]] = msgspec.field(default_factory=list)


class _Tests(msgspec.Struct, rename={"buffer_mib": "bufferSize"}):
    testcases: list[_Test]
    buffer_mib: int = _BUFFER_MIB


class _Report(msgspec.Struct):
    nvbandwidth: _Tests


def read(data: bytes, file: Path) -> list[Ceiling]:
    """The slowest copy that reaches each GPU from another. UsageError where no two GPUs were tested."""
    try:
        tests = msgspec.json.decode(data, type=_Report).nvbandwidth
    except MALFORMED as error:
        raise UsageError(f"is not a result of nvbandwidth: {malformed(error)}", where=str(file)) from None
    ceilings = [ceiling for test in tests.testcases for ceiling in _ceilings(test, tests.buffer_mib << 20)]
    if not ceilings:
        hint = "nvbandwidth -j -t device_to_device_memcpy_read_ce on a node with two GPUs"
        raise UsageError("holds no copies between GPUs", where=str(file), hint=hint)
    return ceilings


def _ceilings(test: _Test, size: int) -> Iterator[Ceiling]:
    if test.name not in _ONE_WAY or test.status != "Passed":
        return
    for peer, column in enumerate(zip(*test.bandwidth_matrix, strict=False)):
        rates = [float(cell) for cell in column if cell != _NONE and float(cell) > 0]
        if peer and rates:
            seconds = size / (min(rates) * 1e9)
            yield link_ceiling(
                f"peer_copy/cuda:{peer}",
                f"nvbandwidth/{test.name}",
                size,
                seconds,
                status="ok",
                method="cuda-events",
            )
