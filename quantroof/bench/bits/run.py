"""Exact products on all devices of a node at once, one process each, with a limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import msgspec

from quantroof.bench.side_by_side import together
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Bits, DeviceState, WrongTile

_SHAPES = {"cuda": (8192, 8192, 4096), "cpu": (512, 512, 512)}
_START_S = 120.0
"""What a process gets beside its seconds, to start, to make its operands and to prove them."""
_MODULE = "quantroof.bench.bits.repeat"
_PRODUCTS = ("int8", "bf16")


def bits_lines(devices: Sequence[Device], seconds: float) -> Iterator[Bits]:
    """Both products of every device; a process that fails or does not answer is a failed record."""
    with ThreadPoolExecutor(max(len(devices), 1)) as pool:
        for lines in pool.map(partial(_lines, seconds=seconds), devices):
            yield from lines


def _lines(device: Device, seconds: float) -> list[Bits]:
    if device.kind == "sim":
        return [_simulated(device, name) for name in (*_PRODUCTS, "int8/tiles")]
    module = [_MODULE, msgspec.json.encode(device).decode(), str(seconds), *map(str, _SHAPES[device.kind])]
    environment = {"CUDA_VISIBLE_DEVICES": device.uuid} if device.uuid else {}
    lines, why = together([module], environment, seconds + _START_S, Bits)
    if why is None and len(lines) < len(_PRODUCTS):
        why = "it ended without a record of every product"
    if why is not None:
        lines.append(Bits(device=device.id, product="int8", status="failed", reason=why))
    return lines


def _simulated(device: Device, name: str) -> Bits:
    """Nothing is computed: a healthy record, or with the fault `bits` one flipped bit."""
    shape, flipped = _SHAPES["cuda"], device.injected_fault == "bits" and name == "int8/tiles"
    healthy = Bits(
        device=device.id, product=name, status="simulated", shape=shape, repeats=1000, digest="simulated"
    )
    if not flipped:
        return healthy
    first = WrongTile(
        repeat=417, row=1300, column=700, tile_row=10, tile_column=5, sm=17,
        expected=-3107.0, computed=-3043.0,
    )  # fmt: skip
    return msgspec.structs.replace(
        healthy,
        status="incorrect",
        reason="1 of 67108864 outputs differ (injected fault)",
        wrong_repeats=1,
        wrong_outputs=1,
        first=first,
        state=DeviceState(sm_clock_mhz=1584.0, sm_clock_source="device", temperature_c=68.0),
    )
