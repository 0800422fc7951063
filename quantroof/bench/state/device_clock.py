"""The SM clock a GPU held over a batch, from the device itself: clock64 against globaltimer on every SM.

NVML's clock is a lagging sample; these counters are not. Each SM has its own clock64, so a stamp is taken on
every SM before and after the batch, and the differences are compared SM by SM.
"""

from __future__ import annotations

from statistics import median
from typing import Any

import torch
import triton
import triton.language as tl
from triton.language.extra.cuda import globaltimer, smid

from quantroof.kernels.program import Program

_SLOTS = 2
_BLOCKS_PER_SM = 4  # enough that every SM gets one, however the blocks are dealt
_MIN_NS = 100_000  # globaltimer ticks every 32 ns to 1 us: a shorter batch says nothing


@triton.jit  # type: ignore[untyped-decorator]
def stamp_kernel(stamps, slot: tl.constexpr, sms: tl.constexpr):  # type: ignore[no-untyped-def]
    """Store (globaltimer ns, clock64 cycles) of this SM in stamps[slot, sm]; int64 [2, sms, 2]."""
    sm = smid()
    clock = tl.inline_asm_elementwise(  # its text must stand here: Triton takes no string variables
        "mov.u64 $0, %clock64;", "=l", [], dtype=tl.int64, is_pure=False, pack=1
    )
    where = stamps + (slot * sms + sm) * 2
    in_range = sm < sms  # PTX does not promise that the numbers are contiguous (%smid, %nsmid)
    tl.store(where, globaltimer(), mask=in_range)
    tl.store(where + 1, clock, mask=in_range)


def stamp_programs(sm_count: int) -> tuple[Program, ...]:
    """The programs that stamp the beginning and the end of a batch: launch each with (stamps,)."""
    return tuple(
        Program(
            function=stamp_kernel,
            grid=(sm_count * _BLOCKS_PER_SM, 1, 1),
            arguments=("*i64",),
            constants={"slot": slot, "sms": sm_count},
            num_warps=1,
            num_stages=1,
        )
        for slot in range(_SLOTS)
    )


class DeviceClock:
    """Stamps before and after every batch, and the clock between them in MHz."""

    def __init__(self, sm_count: int) -> None:
        self._programs = stamp_programs(sm_count)
        self._stamps = torch.zeros(_SLOTS, sm_count, 2, dtype=torch.int64, device="cuda")
        self._batches: list[Any] = []
        for slot in range(_SLOTS):  # compiled and loaded here, where nothing is timed
            self._stamp(slot)

    def start(self) -> None:
        """Forget earlier batches."""
        self._batches = []

    def begin(self) -> None:
        """Queue the first stamp."""
        self._stamp(0)

    def end(self) -> None:
        """Queue the last stamp, and a copy that survives the next batch."""
        self._stamp(1)
        self._batches.append(self._stamps.clone())

    def stamps(self) -> list[list[list[list[int]]]]:
        """The stamps of every batch: [batch][begin/end][SM][ns, cycles]."""
        if not self._batches:
            return []
        stamps: list[list[list[list[int]]]] = torch.stack(
            self._batches
        ).tolist()  # one copy for all of a case
        return stamps

    def held_mhz(self) -> list[float]:
        """Median over SMs of the clock held in each batch, in order."""
        return [mhz for batch in self.stamps() if (mhz := batch_mhz(batch)) is not None]

    def _stamp(self, slot: int) -> None:
        self._programs[slot].launch(self._stamps)


def batch_mhz(stamps: list[list[list[int]]]) -> float | None:
    """Clock in MHz from stamps [begin/end][SM][ns, cycles]; None where no SM was stamped twice in time."""
    clocks = sm_clocks_mhz(stamps)
    return median(clocks) if clocks else None


def sm_clocks_mhz(stamps: list[list[list[int]]]) -> list[float]:
    """The clock of every SM that was stamped twice, far enough apart."""
    first, last = stamps
    clocks = []
    for (begin_ns, begin_cycles), (end_ns, end_cycles) in zip(first, last, strict=True):
        elapsed = end_ns - begin_ns
        if begin_ns and elapsed >= _MIN_NS:
            clocks.append((end_cycles - begin_cycles) / elapsed * 1e3)
    return clocks
