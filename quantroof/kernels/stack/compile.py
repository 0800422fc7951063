"""Compile the products of one architecture in this process: `python -m ... ARCH [SKIP...]`, a JSON line each.

A compiler may end its process, so it never runs in the one that the user started.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec
from msgspec.structs import replace

from quantroof.kernels.architectures import AMD, NVIDIA
from quantroof.kernels.program import FP_FUSION
from quantroof.kernels.stack.cell import Compiled, StackCell, amd_code
from quantroof.kernels.stack.probes import BY_NAME, Operand, StackFormat, Tile, tiles_of


def compiled(item: StackFormat, tile: Tile, arch: str) -> Compiled:
    """Compile one product. An error of the compiler is a cell as well."""
    cell = StackCell(arch=arch, format=item.name, tile=str(tile))
    try:
        assembly = _compile(item, tile, arch)
    except Exception as error:  # noqa: BLE001 - a compiler may raise anything; it costs this cell only
        return Compiled(replace(cell, error=_last_line(error)))
    if arch not in AMD:
        return Compiled(cell, assembly["cubin"])
    opcode, family, spills = amd_code(assembly["amdgcn"], item.family)
    return Compiled(replace(cell, opcode=opcode, family=family, spills=spills))


def _compile(item: StackFormat, tile: Tile, arch: str) -> Any:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    function, types, constants = _bound(item, tile)
    names = list(function.arg_names)
    text_only = triton.__version__.startswith("3.6.")  # constants have an attribute of their own since 3.7
    attributes: dict[tuple[int], list[list[Any]]] = {}
    for index, name in enumerate(names):
        if name in types:
            attributes[index,] = [["tt.divisibility", 16]]
        elif isinstance(constants[name], str) or not text_only:
            attributes[index,] = []
    source = ASTSource(
        fn=function,
        signature={name: types.get(name, "constexpr") for name in names},
        constexprs={(names.index(name),): value for name, value in constants.items()},
        attrs=attributes,
    )
    target = GPUTarget("hip", arch, 64) if arch in AMD else GPUTarget("cuda", NVIDIA[arch], 32)
    warps = 8 if tile.rows * tile.columns >= 128 * 128 else 4
    options = {"num_warps": warps, "num_stages": 2, "enable_fp_fusion": FP_FUSION}
    return triton.compile(source, target=target, options=options).asm


def _bound(item: StackFormat, tile: Tile) -> tuple[Any, dict[str, str], dict[str, Any]]:
    """(function, Triton types of its arguments, its constants); the operands change places with the tile."""
    from quantroof.kernels.stack.device.products import plain_product, scaled_product

    sides = (item.weights, item.activations) if tile.weights_first else (item.activations, item.weights)
    a, b = sides
    constants: dict[str, Any] = {
        "BM": tile.rows,
        "BN": tile.columns,
        "BK": 64 if item.name == "bf16" else 128,
    }
    types = {"a": a.type, "b": b.type, "c": "*i32" if item.integer else "*bf16"}
    types |= dict.fromkeys(("N", "K"), "i32")
    if item.block is None:
        return plain_product, types, constants | {"INT": item.integer}
    types |= {"a_scale": _scale_type(a), "b_scale": _scale_type(b)}
    constants |= {
        "BLOCK": item.block,
        "A_FORMAT": a.name,
        "B_FORMAT": b.name,
        "A_PACK": a.per_byte,
        "B_PACK": b.per_byte,
        "A_SCALED": a.scale is not None,
        "B_SCALED": b.scale is not None,
    }
    return scaled_product, types, constants


def _scale_type(side: Operand) -> str:
    return side.scale or "*u8"  # never read where the operand has no scales


def _last_line(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1].strip()[:160] if lines else ''}"


def main(arch: str, skip: set[str]) -> None:
    """Announce each cell before it is compiled, so that the parent knows which one ended the process."""
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a compiler prints goes to stderr, not between the lines
    for item in BY_NAME.values():
        for tile in tiles_of(item, arch):
            name = f"{item.name}/{tile}"
            if name in skip:
                continue
            out.write(f"{name}\n")
            out.write(msgspec.json.encode(compiled(item, tile, arch)).decode() + "\n")


if __name__ == "__main__":
    main(sys.argv[1], set(sys.argv[2:]))
