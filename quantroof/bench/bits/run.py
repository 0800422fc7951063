"""Exact products on all devices of a node at once, one process each, with a limit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from quantroof.bench.side_by_side import Module, apart
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Bits, DeviceState, WrongTile

_SHAPES = {"cuda": (8192, 8192, 4096), "cpu": (512, 512, 512)}
_START_S = 120.0
"""What a process gets beside its seconds, to start, to make its operands and to prove them."""
_MODULE = "quantroof.bench.bits.repeat"
_PRODUCTS = ("int8", "bf16")


def bits_lines(devices: Sequence[Device], seconds: float) -> Iterator[Bits]:
    """All products of every device; a process that fails or does not answer is a failed record."""
    real = [device for device in devices if device.kind != "sim"]
    for device in devices:
        if device.kind == "sim":
            yield from (_simulated(device, name) for name in (*_PRODUCTS, "int8/tiles"))
    results = apart([_module(device, seconds) for device in real], seconds + _START_S, Bits)
    for device, (lines, why) in zip(real, results, strict=True):
        yield from lines
        missing = "it ended without a record of every product" if len(lines) < len(_PRODUCTS) else None
        if reason := why or missing:
            yield Bits(device=device.id, product=_PRODUCTS[0], status="failed", reason=reason)


def _module(device: Device, seconds: float) -> Module:
    shape = map(str, _SHAPES[device.kind])
    environment = {"CUDA_VISIBLE_DEVICES": device.uuid} if device.uuid else {}
    return [_MODULE, msgspec.json.encode(device).decode(), str(seconds), *shape], environment


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
