"""The Programs of dense products: which of three kernels a case uses, and its tiling. Imports no torch."""

from __future__ import annotations

import msgspec

from quantroof.hwprofiles.native import only_on_the_older_path
from quantroof.kernels.architectures import architecture_of
from quantroof.kernels.cases import Case
from quantroof.kernels.linear.tiling import FEW_ROWS, Tiling, balanced_split, padded_rows, useful_splits
from quantroof.kernels.linear.tuned import choose
from quantroof.kernels.program import Program, Target

# Triton's names of element types, and the first compute capability with matrix instructions for them.
TYPES = {
    "bf16": ("bf16", (8, 0)),
    "fp16": ("fp16", (8, 0)),
    "int8": ("i8", (8, 0)),
    "fp8_e4m3": ("fp8e4nv", (8, 9)),
}
FAMILY = "dense"
_SKINNY_ROWS = 64
_GROUP_M = 8  # rows of tiles that share a column of weights in L2


def _scaling(case: Case) -> str:
    if case.weight.granularity == "none":
        return "none"
    return "tensor" if case.weight.granularity == "tensor" else "row"


def _pointer(name: str) -> str:
    return f"*{TYPES[name][0]}"


def formula(case: Case, target: Target) -> Tiling:
    """Skinny cases fill the machine by splitting K; wide ones take the largest tile that keeps it busy."""
    step = _step(case, 256 if case.m <= _SKINNY_ROWS else 128)
    if case.m <= _SKINNY_ROWS:
        # 64 rows of 256 bytes are 16 KB per stage: three or four stages, two programs per multiprocessor.
        bm = padded_rows(case.m, _SKINNY_ROWS)
        split = balanced_split(-(-case.n // 64), case.k // step, target)
        return Tiling(bn=64, bm=bm, bk=step, split=split, num_warps=4, num_stages=4 if bm <= 32 else 3)
    if not _wide(case, target):
        # A stage is 32 KB; 8.6, 8.9 and 12.0 have 99 KB of shared memory per program, 8.0 has 163.
        stages = 4 if target.capability == (8, 0) else 3
        return Tiling(bn=128, bm=128, bk=step, num_warps=8, num_stages=stages)
    wide = -(-case.m // 128) * -(-case.n // 256) >= target.sm_count
    bm, bn = (128, 256) if wide else _few_rows(case, target) if case.m <= FEW_ROWS else (128, 128)
    return Tiling(bn=bn, bm=bm, bk=step, num_warps=_warps(bm, bn), num_stages=4)


def _wide(case: Case, target: Target) -> bool:
    """Whether wgmma or tcgen05 multiplies the element; int8 has mma.sync alone on B300 and Rubin."""
    arch = architecture_of(target.capability)
    older = arch is not None and only_on_the_older_path(case.compute.name, arch)
    return target.has_wide_matrix_instructions and not older


def _few_rows(case: Case, target: Target) -> tuple[int, int]:
    """BM, BN: tiles are halved as long as all of them are worked on at once."""
    tiles = -(-case.m // 128) * -(-case.n // 128)
    if 4 * tiles <= target.sm_count:
        return 64, 64
    return 128, 64 if 2 * tiles <= target.sm_count else 128


def _warps(bm: int, bn: int) -> int:
    return 4 if (bm, bn) == (64, 64) else 8


def space(case: Case, target: Target) -> list[Tiling]:
    """Tilings worth timing for a case."""
    start, bits = formula(case, target), case.compute.bits
    if case.m <= _SKINNY_ROWS:
        found = [
            msgspec.structs.replace(start, bn=bn, split=split, num_stages=stages)
            for bn in (64, 128)
            for split in useful_splits(-(-case.n // bn), case.k // start.bk, target)
            for stages in (3, 4, 5)
        ]
    else:
        found = [
            msgspec.structs.replace(start, bn=bn, bm=bm, num_warps=_warps(bm, bn), num_stages=stages)
            for bm, bn in ((64, 64), (64, 128), (128, 64), (64, 256), (128, 128), (128, 256), (256, 128))
            for stages in (3, 4)
        ]
    return [tiling for tiling in found if tiling.fits(target, bits, bits)]


def _step(case: Case, row_bytes: int) -> int:
    """Elements of a step along K: as many bytes of a row where that divides K, else half, and so on.

    TMA fills what lies past the edge with zeros; plain pointers need whole steps.
    """
    step = row_bytes * 8 // case.compute.bits
    while case.k % step:
        step //= 2
    return step


def program(case: Case, target: Target) -> Program:
    """The device code for a case: skinny up to 64 rows, then TMA where there is one."""
    tile = choose(FAMILY, case, target, formula)
    if case.m <= _SKINNY_ROWS:
        return _skinny(case, tile)
    return _tma(case, target, tile) if _wide(case, target) else _pointers(case, tile)


def _common(case: Case) -> dict[str, int | bool | str]:
    return {"SCALING": _scaling(case), "INT": case.compute.name == "int8"}


def _skinny(case: Case, tile: Tiling) -> Program:
    from quantroof.kernels.linear.device.dense import dense_skinny

    integer = case.compute.name == "int8"
    operand, out = _pointer(case.compute.name), _pointer(case.output.element.name)
    return Program(
        function=dense_skinny,
        grid=(-(-case.n // tile.bn), tile.split, -(-case.m // tile.bm)),
        arguments=(
            *(operand, operand, out, "*fp32", "*fp32", "*i32" if integer else "*fp32", "*i32"),
            *("i32", "i32:16", "i32:16"),
        ),
        constants={"BN": tile.bn, "BM": tile.bm, "BK": tile.bk, "SPLIT": tile.split, **_common(case)},
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )


def _tma(case: Case, target: Target, tile: Tiling) -> Program:
    from quantroof.kernels.linear.device.dense import dense_tma

    programs = min(target.sm_count, -(-case.m // tile.bm) * -(-case.n // tile.bn))
    name, out = TYPES[case.compute.name][0], TYPES[case.output.element.name][0]
    return Program(
        function=dense_tma,
        grid=(programs, 1, 1),
        arguments=(
            *(f"tensordesc<{name}[{tile.bm}, {tile.bk}]>", f"tensordesc<{name}[{tile.bn}, {tile.bk}]>"),
            *(f"tensordesc<{out}[{tile.bm}, {tile.bn // 2}]>", "*fp32", "*fp32", "i32", "i32:16", "i32:16"),
        ),
        constants={
            "BM": tile.bm,
            "BN": tile.bn,
            "BK": tile.bk,
            "GROUP_M": _GROUP_M,
            "PROGRAMS": programs,
            **_common(case),
        },
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )


def _pointers(case: Case, tile: Tiling) -> Program:
    from quantroof.kernels.linear.device.dense import dense_pointers

    operand = _pointer(case.compute.name)
    return Program(
        function=dense_pointers,
        grid=(-(-case.m // tile.bm) * -(-case.n // tile.bn), 1, 1),
        arguments=(
            *(operand, operand, _pointer(case.output.element.name), "*fp32", "*fp32"),
            *("i32", "i32:16", "i32:16"),
        ),
        constants={"BM": tile.bm, "BN": tile.bn, "BK": tile.bk, "GROUP_M": _GROUP_M, **_common(case)},
        num_warps=tile.num_warps,
        num_stages=tile.num_stages,
    )
