"""Reads the assembly that Triton's AMD back end makes: it lists registers and spills itself.

A class is `matrix:MFMA_BF16`, with what the matrix instruction multiplies; `simt:V_FMA_F32` and `memory` as
for NVIDIA.
"""

from __future__ import annotations

import re
from collections import Counter

import msgspec

_MFMA = re.compile(r"\bv_s?mfmac?_\w+")
_MULTIPLIED = re.compile(r"_\d+x\d+x\d+_?(?:\d+b_)?(\w+)")
_METADATA = re.compile(r"\.(vgpr_count|vgpr_spill_count|sgpr_spill_count):\s*(\d+)")
_INSTRUCTION = re.compile(r"^\t([a-z]\w+)", re.MULTILINE)
_VECTOR = re.compile(r"v_(?:pk_)?(?:fma|fmac|mul|mad|add|cvt)_\w*(?:f32|f16|bf16|f64)\w*")


class AmdCode(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of one function's assembly. `matrix` has its matrix opcodes in order, each once."""

    matrix: tuple[str, ...]
    instruction_class: str
    vgprs: int | None
    spilled_registers: int
    instructions: int


def read_amdgcn(text: str) -> AmdCode:
    """Opcodes, registers and spills of AMD assembly."""
    metadata = {name: int(value) for name, value in _METADATA.findall(text)}
    opcodes = Counter(_INSTRUCTION.findall(text))
    matrix = tuple(dict.fromkeys(_MFMA.findall(text)))
    return AmdCode(
        matrix=matrix,
        instruction_class=_class(matrix, opcodes),
        vgprs=metadata.get("vgpr_count"),
        spilled_registers=metadata.get("vgpr_spill_count", 0) + metadata.get("sgpr_spill_count", 0),
        instructions=opcodes.total(),
    )


def _class(matrix: tuple[str, ...], opcodes: Counter[str]) -> str:
    if matrix:
        scaled = next((name for name in matrix if "f8f6f4" in name), matrix[0])
        multiplied = _MULTIPLIED.search(scaled)
        return f"matrix:MFMA_{(multiplied[1] if multiplied else scaled).upper()}"
    vector = {name: count for name, count in opcodes.items() if _VECTOR.fullmatch(name)}
    return f"simt:{max(vector, key=lambda name: vector[name]).upper()}" if vector else "memory"
