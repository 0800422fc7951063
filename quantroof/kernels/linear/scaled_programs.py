"""The Programs of block-scaled products: tiles, the position of the weights, the formats of both sides."""

from __future__ import annotations

from dataclasses import dataclass

from quantroof.kernels.cases import Case
from quantroof.kernels.formats import Element
from quantroof.kernels.linear.tiling import Tiling, balanced_split, padded_rows, useful_splits
from quantroof.kernels.linear.tuned import choose
from quantroof.kernels.program import Program, Target

FAMILY = "scaled"
STEP = 128
"""Elements of a step along K."""
_TURNED_ROWS = 64
_QUANTIZED_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Side:
    """An operand: its name for `tl.dot_scaled`, Triton's types of codes and scales, codes per byte."""

    name: str
    codes: str
    scales: str
    pack: int


def side_of(element: Element) -> Side:
    """How an element with block scales is passed."""
    scales = "*u8" if element.scale == "e8m0" else "*fp8e4nv"
    return Side("e2m1", "*u8", scales, 2) if element.is_e2m1 else Side("e4m3", "*fp8e4nv", scales, 1)


def formula(case: Case, target: Target) -> Tiling:
    """Few rows of activations are columns beside 128 weights, and K is split; many are tiles of 128 x 128."""
    if case.m <= _TURNED_ROWS:
        bm = padded_rows(case.m, _TURNED_ROWS)
        split = balanced_split(-(-case.n // 128) * -(-case.m // bm), case.k // STEP, target)
        return Tiling(bn=128, bm=bm, bk=STEP, split=split, num_warps=4, num_stages=3)
    stages = 3 if target.has_wide_matrix_instructions else 2
    return Tiling(bn=128, bm=128, bk=STEP, num_warps=8, num_stages=stages)


def space(case: Case, target: Target) -> list[Tiling]:
    """Tilings worth timing for a case: rows of a tile stay at 128, below which Blackwell emulates."""
    start = formula(case, target)
    turned = case.m <= _TURNED_ROWS
    tilings = [
        Tiling(bn=128, bm=start.bm, bk=STEP, split=split, num_warps=start.num_warps, num_stages=stages)
        for split in (useful_splits(-(-case.n // 128), case.k // STEP, target) if turned else (1,))
        for stages in (2, 3, 4)
    ]
    bits = case.weight.element.bits, case.activation.element.bits
    return [tiling for tiling in tilings if tiling.fits(target, *bits)]


def program(case: Case, target: Target) -> Program:
    """The device code of the product."""
    from quantroof.kernels.linear.device.scaled import scaled_linear

    tile = choose(FAMILY, case, target, formula)
    x, w = side_of(case.activation.element), side_of(case.weight.element)
    turned = case.m <= _TURNED_ROWS
    tiles_m, tiles_n = -(-case.m // tile.bm), -(-case.n // tile.bn)
    return Program(
        function=scaled_linear,
        grid=(tiles_n, tile.split, tiles_m) if turned else (tiles_m, 1, tiles_n),
        arguments=(
            *(x.codes, w.codes, x.scales, w.scales, "*fp32", "*fp32", "*bf16", "*fp32", "*i32"),
            *("i32", "i32:16", "i32:16"),
        ),
        constants={
            "BM": tile.bm,
            "BN": tile.bn,
            "BK": tile.bk,
            "BLOCK": case.weight.element.block or STEP,
            "SPLIT": tile.split if turned else 1,
            "X_FORMAT": x.name,
            "W_FORMAT": w.name,
            "X_PACK": x.pack,
            "W_PACK": w.pack,
            "TURNED": turned,
            "TENSOR_SCALED": case.weight.element.scale == "e4m3",
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )


def quantize_program(case: Case) -> Program:
    """The device code that quantizes the activations: launch with (x, codes, scales, tensor scale, K)."""
    from quantroof.kernels.act_quant.device.blocks import quantize_in_blocks

    element = case.activation.element
    side = side_of(element)
    return Program(
        function=quantize_in_blocks,
        grid=(case.m, -(-case.k // _QUANTIZED_AT_ONCE), 1),
        arguments=("*bf16", side.codes, side.scales, "*fp32", "i32:16"),
        constants={
            "BLOCK": element.block or STEP,
            "TILE": _QUANTIZED_AT_ONCE,
            "PACK": side.pack,
            "EXPONENT": int(element.max_value).bit_length() - 1,
            "TENSOR_SCALED": element.scale == "e4m3",
        },
        num_warps=4,
        num_stages=1,
    )
