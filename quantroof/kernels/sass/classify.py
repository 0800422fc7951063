"""Classify the instruction that does the arithmetic: it tells a native format from an emulated one.

A class is written `kind:opcode`: `matrix:HGMMA` (wgmma, fp16/bf16), `matrix:QGMMA` (wgmma, fp8),
`matrix:IGMMA` (wgmma, int8), `matrix:HMMA`, `matrix:IMMA`, `matrix:QMMA` (mma.sync), `matrix:UTCHMMA`,
`matrix:UTCQMMA`, `matrix:UTCIMMA` (tcgen05), `simt:FFMA`, `simt:HFMA2`..., `memory` where nothing is
multiplied.
"""

from __future__ import annotations

from quantroof.kernels.sass.listing import Function

# In order of generation; the first that appears is what the function was written for. tcgen05 and wgmma
# opcodes never appear beside mma.sync ones in code of one dot product.
MATRIX_OPCODES = (
    *("UTCHMMA", "UTCQMMA", "UTCIMMA", "UTCOMMA"),
    *("HGMMA", "QGMMA", "IGMMA", "BGMMA"),
    *("QMMA", "OMMA", "IMMA", "BMMA", "DMMA", "HMMA"),
)
_SIMT_OPCODES = ("FFMA2", "FFMA", "HFMA2", "IDP", "IDP4A", "DFMA", "FMUL", "FADD", "IMAD")


def instruction_class(function: Function) -> str:
    """The class of the arithmetic in a function.

    Integer multiply-adds also compute addresses, so IMAD is named only where no other arithmetic is found,
    and a function without even those is `memory`.
    """
    counts = function.opcode_counts()
    for opcode in MATRIX_OPCODES:
        if counts[opcode]:
            return f"matrix:{opcode}"
    present = [o for o in _SIMT_OPCODES if o != "IMAD" and counts[o]]
    if present:
        return f"simt:{max(present, key=lambda o: counts[o])}"
    return "simt:IMAD" if counts["IMAD"] > counts["LDG"] * 4 else "memory"
