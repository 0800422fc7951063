"""How to cut a product with few rows of activations: tile, split of K, warps and stages. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from quantroof.kernels.program import Target

# Programs that fit a multiprocessor at once with the shared memory and registers of these tiles.
_RESIDENT = 2
_SPLITS = (1, 2, 3, 4, 6, 8, 12, 16)
# A part shorter than this is all prologue: its loads are issued, and then it waits for them once.
_MIN_STEPS = 4


@dataclass(frozen=True, slots=True)
class Tiling:
    """Tile of the transposed product [BN, BM] with steps of BK, K cut into `split` parts."""

    bn: int
    bm: int
    bk: int
    split: int
    num_warps: int
    num_stages: int


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
