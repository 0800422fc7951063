"""NVIDIA's matrix instructions by format and path: what to assemble, and how native code looks.

Three paths: mma.sync (a warp, every architecture), wgmma (a warpgroup, sm_90a only) and tcgen05 (tensor
memory, sm_100a). A format is native if any of them multiplies it as it is. Source: PTX ISA 9.1, "Warp Level
Matrix Multiply-Accumulate", "Asynchronous Warpgroup Level Matrix" and "TensorCore 5th Generation".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Path = Literal["mma.sync", "wgmma", "tcgen05"]
PATHS: tuple[Path, ...] = ("mma.sync", "wgmma", "tcgen05")
SOURCES: dict[Path, str] = {"mma.sync": "mma.cu", "wgmma": "wgmma.cu", "tcgen05": "tcgen05.cu"}

_ACCUMULATOR_MACRO = {"fp32": "ACC_F32", "int32": "ACC_S32", "fp16": "ACC_F16"}
_PTX_ACCUMULATOR = {"fp32": "f32", "int32": "s32", "fp16": "f16"}


@dataclass(frozen=True, slots=True)
class Instruction:
    """One matrix instruction. `native` is how the opcode of a unit that multiplies this format begins.

    `flops` counts the operations of one instruction and warp (mma.sync only, which is timed).
    """

    element: str
    accumulator: str
    path: Path
    native: tuple[str, ...]
    defines: tuple[str, ...]
    flops: int | None = None

    @property
    def name(self) -> str:
        """Stable text: `mma.sync/int4/int32`."""
        return f"{self.path}/{self.element}/{self.accumulator}"

    @property
    def source(self) -> str:
        """The CUDA C++ file that holds it."""
        return SOURCES[self.path]


def _quoted(text: str) -> str:
    return f'"{text}"'


def _mma(
    element: str,
    accumulator: str,
    ptx: str,
    k: int,
    native: str,
    *,
    kind: str = "",
    scale: str = "",
    bits: str = "",
) -> Instruction:
    """`bits` is what takes the place of the product for single bits, which do not saturate."""
    saturate = ".satfinite" if accumulator == "int32" and not bits else ""
    to = _PTX_ACCUMULATOR[accumulator]
    prefix = f"mma.sync.aligned{kind}.m16n8k{k}.row.col{saturate}"
    text = f"{prefix}.{to}.{ptx}.{ptx}.{to}{scale}{bits}"
    defines = [f"-DMMA={_quoted(text)}", f"-D{_ACCUMULATOR_MACRO[accumulator]}"]
    if scale:
        defines.append(f"-DSCALES={_quoted(', {%8}, {0,0}, {%9}, {0,0}')}")
    return Instruction(element, accumulator, "mma.sync", (native,), tuple(defines), 2 * 16 * 8 * k)


def _wgmma(element: str, accumulator: str, ptx: str, k: int, native: str, *, bits: str = "") -> Instruction:
    text = f"wgmma.mma_async.sync.aligned.m64n8k{k}.{_PTX_ACCUMULATOR[accumulator]}.{ptx}.{ptx}{bits}"
    # Floating formats take two signs; 16-bit ones also two transpositions.
    tail = {"int32": "p"}.get(accumulator, "p, 1, 1, 0, 0" if k == 16 else "p, 1, 1")
    defines = (
        f"-DWGMMA={_quoted(text)}",
        f"-DTAIL={_quoted(tail)}",
        f"-D{_ACCUMULATOR_MACRO[accumulator]}",
    )
    return Instruction(element, accumulator, "wgmma", (native,), defines)


def _tcgen05(element: str, accumulator: str, kind: str, native: str) -> Instruction:
    scaled = "block_scale" in kind
    defines = [f"-DTCGEN05={_quoted(f'tcgen05.mma.cta_group::1.kind::{kind}')}"]
    if scaled:
        defines.append(f"-DSCALES={_quoted(', [%4], [%4]')}")
    return Instruction(element, accumulator, "tcgen05", (native,), tuple(defines))


_AND = ".and.popc"  # bits are and-ed and counted; wgmma has no other operation
_MX = ".kind::mxf8f6f4.block_scale.scale_vec::1X"
_MXFP4 = ".kind::mxf4nvf4.block_scale.scale_vec::2X"
_NVFP4 = ".kind::mxf4nvf4.block_scale.scale_vec::4X"

# The opcode's operand types show whether a product is native or converted first: HMMA.16816.F32 with BF16 or
# without, IMMA with .S4 or after unpacking to .S8, QMMA (8 and 6 bits), OMMA (4 bits).
INSTRUCTIONS: tuple[Instruction, ...] = (
    _mma("fp16", "fp32", "f16", 16, "HMMA.16816.F32"),
    _mma("fp16", "fp16", "f16", 16, "HMMA.16816.F16"),
    _mma("bf16", "fp32", "bf16", 16, "HMMA.16816.F32.BF16"),
    _mma("tf32", "fp32", "tf32", 8, "HMMA.1688.F32.TF32"),
    _mma("fp8_e4m3", "fp32", "e4m3", 32, "QMMA.16832.F32.E4M3"),
    _mma("fp8_e4m3", "fp16", "e4m3", 32, "QMMA.16832.F16.E4M3"),
    _mma("fp8_e5m2", "fp32", "e5m2", 32, "QMMA.16832.F32.E5M2"),
    _mma("fp8_e5m2", "fp16", "e5m2", 32, "QMMA.16832.F16.E5M2"),
    _mma("int8", "int32", "s8", 32, "IMMA.16832.S8.S8"),
    _mma("int4", "int32", "s4", 64, "IMMA.16864.S4.S4"),
    _mma("b1", "int32", "b1", 256, "BMMA.168256.AND", bits=_AND),
    _mma("fp6", "fp32", "e3m2", 32, "QMMA.16832.F32.E3M2", kind=".kind::f8f6f4"),
    _mma("mxfp8", "fp32", "e4m3", 32, "QMMA.SF.16832.F32.E4M3", kind=_MX, scale=".ue8m0"),
    _mma("mxfp4", "fp32", "e2m1", 64, "OMMA.SF.16864.F32.E2M1", kind=_MXFP4, scale=".ue8m0"),
    _mma("nvfp4", "fp32", "e2m1", 64, "OMMA.SF.16864.F32.E2M1", kind=_NVFP4, scale=".ue4m3"),
    _wgmma("fp16", "fp32", "f16", 16, "HGMMA"),
    _wgmma("fp16", "fp16", "f16", 16, "HGMMA"),
    _wgmma("bf16", "fp32", "bf16", 16, "HGMMA"),
    _wgmma("tf32", "fp32", "tf32", 8, "HGMMA"),
    _wgmma("fp8_e4m3", "fp32", "e4m3", 32, "QGMMA"),
    _wgmma("fp8_e4m3", "fp16", "e4m3", 32, "QGMMA"),
    _wgmma("fp8_e5m2", "fp32", "e5m2", 32, "QGMMA"),
    _wgmma("fp8_e5m2", "fp16", "e5m2", 32, "QGMMA"),
    _wgmma("int8", "int32", "s8", 32, "IGMMA"),
    _wgmma("int4", "int32", "s4", 64, "IGMMA.64x8x64.S4"),
    _wgmma("b1", "int32", "b1", 256, "BGMMA", bits=_AND),
    _tcgen05("fp16", "fp32", "f16", "UTCHMMA"),
    _tcgen05("bf16", "fp32", "f16", "UTCHMMA"),
    _tcgen05("tf32", "fp32", "tf32", "UTCHMMA"),
    _tcgen05("fp8_e4m3", "fp32", "f8f6f4", "UTCQMMA"),
    _tcgen05("fp8_e5m2", "fp32", "f8f6f4", "UTCQMMA"),
    _tcgen05("fp6", "fp32", "f8f6f4", "UTCQMMA"),
    _tcgen05("int8", "int32", "i8", "UTCIMMA"),
    _tcgen05("int4", "int32", "i4", "UTCIMMA"),
    _tcgen05("b1", "int32", "b1", "UTCBMMA"),
    _tcgen05("mxfp8", "fp32", "mxf8f6f4.block_scale", "UTCQMMA"),
    _tcgen05("mxfp4", "fp32", "mxf4.block_scale", "UTCOMMA"),
    _tcgen05("nvfp4", "fp32", "mxf4nvf4.block_scale.scale_vec::4X", "UTCOMMA"),
)
