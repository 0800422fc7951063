"""Repeats exact products on one device for some time; run as `python -m quantroof.bench.bits.repeat ...`.

Arguments: the device as JSON, the seconds, M, N and K. Prints one record per product.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import torch
from msgspec.structs import replace

from quantroof.bench.bits.products import (
    TILE,
    Product,
    ProductName,
    WrongReference,
    differing,
    digest,
    product,
)
from quantroof.hwprofiles.nvml import Board
from quantroof.hwprofiles.types import Device
from quantroof.records.lines import Bits, DeviceState, Status, WrongTile

_SEED = 7
_EVERYWHERE: tuple[ProductName, ...] = ("int8", "bf16")
_ON_GPU: tuple[ProductName, ...] = (*_EVERYWHERE, "int8/tiles", "bf16/tiles")
_BLOCK = 16
"""Repeats of one product before the other has its turn: both must heat the GPU."""


@dataclass(slots=True)
class Counter:
    """One product with its record so far."""

    product: Product
    record: Bits

    def repeat(self, state: Callable[[], DeviceState | None]) -> None:
        """Compute it once more and compare."""
        computed, expected = self.product.compute(), self.product.expected
        wrong = differing(computed, expected)
        record = replace(self.record, repeats=self.record.repeats + 1)
        if wrong is not None:
            count, (row, column) = wrong
            record = replace(
                record,
                status="incorrect",
                reason=f"{count} of {expected.numel()} outputs differ",
                wrong_repeats=record.wrong_repeats + 1,
                wrong_outputs=record.wrong_outputs + count,
            )
            if record.first is None:
                first = self._located(record.repeats, row, column, computed)
                record = replace(record, first=first, state=state())
        self.record = record

    def _located(self, repeat: int, row: int, column: int, computed: torch.Tensor) -> WrongTile:
        tile_row, tile_column = row // TILE, column // TILE
        sms = self.product.sms
        return WrongTile(
            repeat=repeat,
            row=row,
            column=column,
            tile_row=tile_row,
            tile_column=tile_column,
            sm=None if sms is None else int(sms[tile_row, tile_column]),
            expected=float(self.product.expected[row, column]),
            computed=float(computed[row, column]),
        )


def counter(
    name: ProductName, shape: tuple[int, int, int], device: Device, on: torch.device
) -> Counter | Bits:
    """A product that is ready to be repeated; its record if it is wrong at once or cannot run here."""
    status: Status = "ok"
    try:
        made = product(name, shape, _SEED, on)
    except WrongReference as error:
        status, why = "incorrect", str(error)
    except RuntimeError as error:
        status, why = "failed", str(error).splitlines()[0]
    except Exception as error:  # noqa: BLE001 - a kernel that does not compile here does not count against the device
        status, why = "skipped", (str(error).splitlines() or [type(error).__name__])[0]
    else:
        head = Bits(device=device.id, product=name, status=status, shape=shape)
        return Counter(made, replace(head, digest=digest(made.expected)))
    return Bits(device=device.id, product=name, status=status, reason=why, shape=shape)


def repeated(
    counters: list[Counter], state: Callable[[], DeviceState | None], more: Callable[[], bool]
) -> None:
    """All products in turn, until the time is up."""
    while True:
        for one in counters:
            for _ in range(_BLOCK):
                one.repeat(state)
                if not more():
                    return


def main() -> None:
    """Repeat both products, and print their records."""
    device = msgspec.json.decode(sys.argv[1], type=Device)
    seconds, shape = float(sys.argv[2]), (int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
    place = 0 if device.uuid else device.index  # by its UUID it is the only one that this process sees
    on = torch.device("cuda", place) if device.kind == "cuda" else torch.device("cpu")
    torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    board = Board.of(device)
    names = _ON_GPU if on.type == "cuda" else _EVERYWHERE
    made = [counter(name, shape, device, on) for name in names]
    counters = [one for one in made if isinstance(one, Counter)]
    end = time.monotonic() + seconds
    if counters:
        repeated(counters, lambda: _state(board), lambda: time.monotonic() < end)
    for one in made:
        record = one.record if isinstance(one, Counter) else one
        print(msgspec.json.encode(record).decode(), flush=True)


def _state(board: Board | None) -> DeviceState | None:
    if board is None:
        return None
    now = board.reading()
    return DeviceState(
        sm_clock_mhz=now.sm_mhz, sm_clock_source="nvml", memory_clock_mhz=now.memory_mhz,
        temperature_c=now.temperature_c, reasons=now.reasons,
    )  # fmt: skip


if __name__ == "__main__":
    main()
