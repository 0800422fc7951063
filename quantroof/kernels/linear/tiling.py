"""How to cut a linear layer into programs: tile, split of K, warps and stages. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from quantroof.kernels.program import Target

# Programs that fit a multiprocessor at once with the shared memory and registers of these tiles.
_RESIDENT = 2
_SPLITS = (1, 2, 3, 4, 6, 8, 12, 16)
FEW_ROWS = 128
"""Up to here one row of large tiles covers M, and those of a small layer leave multiprocessors idle."""
# A part shorter than this is all prologue: its loads are issued, and then it waits for them once.
_MIN_STEPS = 4
# Shared memory a program may have: CUDA Programming Guide, table of technical specifications.
_LARGE = dict.fromkeys(((9, 0), (10, 0), (10, 3), (11, 0)), 227 * 1024)
_SHARED_BYTES = {(8, 0): 163 * 1024, **_LARGE}
_SHARED_BYTES_ELSEWHERE = 99 * 1024


class Tiling(msgspec.Struct, frozen=True, kw_only=True):
    """Tile of `bn` columns of the output and `bm` rows, steps of `bk` along K, K cut into `split` parts."""

    bn: int
    bm: int
    bk: int
    split: int = 1
    num_warps: int
    num_stages: int

    def fits(self, target: Target, weight_bits: int, activation_bits: int) -> bool:
        """Whether the stages of both operands fit the shared memory of a program."""
        stage = self.bk * (self.bn * weight_bits + self.bm * activation_bits) // 8
        return stage * self.num_stages <= _SHARED_BYTES.get(target.capability, _SHARED_BYTES_ELSEWHERE)


def padded_rows(m: int, widest: int) -> int:
    """M padded to what a matrix instruction takes: 16, 32, 64, ... up to `widest`."""
    rows = 16
    while rows < min(m, widest):
        rows *= 2
    return rows


def balanced_split(tiles: int, steps: int, target: Target) -> int:
    """The number of parts that fills whole waves of programs best; the smallest of equals.

    With as many programs as fit at once a GPU is one wave; a last wave that is nearly empty costs a whole
    one.
    """
    slots = target.sm_count * _RESIDENT
    possible = [s for s in _SPLITS if s == 1 or steps // s >= _MIN_STEPS]

    def filled(split: int) -> float:
        programs = tiles * split
        waves = -(-programs // slots)
        return programs / (waves * slots)

    return max(possible, key=lambda split: (round(filled(split), 2), -split))


def one_wave_split(tiles: int, steps: int, target: Target) -> int:
    """The most parts that run at once with one program per multiprocessor, for tiles too large for two."""
    return max(s for s in _SPLITS if s == 1 or (tiles * s <= target.sm_count and steps // s >= _MIN_STEPS))


def useful_splits(tiles: int, steps: int, target: Target) -> Iterator[int]:
    """Splits worth timing: between one program for every second multiprocessor and eight for each."""
    for split in _SPLITS:
        programs = tiles * split
        if split == 1 or (steps // split >= 2 and target.sm_count // 2 <= programs <= 8 * target.sm_count):
            yield split
