"""Reading machine code: listings, loops, classes, and real cubins made here by Triton's own ptxas."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from quantroof.kernels.sass.batch import read_cubins
from quantroof.kernels.sass.classify import instruction_class
from quantroof.kernels.sass.cubin import cuobjdump, read_cubin
from quantroof.kernels.sass.listing import DisassemblyError, parse_listing
from quantroof.kernels.sass.loops import innermost, natural_loops
from quantroof.kernels.sass.native import read_source
from quantroof.kernels.sass.nvrtc import compile_cuda


def test_nvidias_packages_come_before_tritons_own_tool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their cuobjdump is chosen where its nvdisasm lies beside it, and passed over where it does not."""
    tool = tmp_path / "nvidia" / "cu99" / "bin" / "cuobjdump"
    tool.parent.mkdir(parents=True)
    tool.touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert cuobjdump.__wrapped__() != tool

    (tool.parent / "nvdisasm").touch()
    assert cuobjdump.__wrapped__() == tool


def _listing(*lines: str) -> str:
    body = "\n".join(f"        /*{16 * i:04x}*/    {line} ;   /* 0x0 */" for i, line in enumerate(lines))
    return f'\tcode for sm_90a\n\t\tFunction : kernel\n\t.headerflags\t@"x"\n{body}\n'


def test_a_listing_gives_opcodes_operands_and_guards() -> None:
    """Modifiers stay with the opcode, guards are noted, padding is dropped."""
    (function,) = parse_listing(
        _listing("MOV R1, R2", "@!P0 LDG.E.128 R4, [R2.64]", "EXIT", "BRA 0x30", "NOP")
    )
    assert (function.name, function.arch) == ("kernel", "sm_90a")
    assert [i.opcode for i in function.instructions] == ["MOV", "LDG.E.128", "EXIT"]
    assert [i.guarded for i in function.instructions] == [False, True, False]


def test_text_without_code_is_refused() -> None:
    """An empty or foreign text is an error with a reason, not an empty result."""
    with pytest.raises(DisassemblyError, match="no function"):
        parse_listing("cuobjdump fatal: not an ELF file")


def test_the_innermost_loop_is_found_behind_an_outer_one() -> None:
    """The inner one of nested loops counts, and a spin of two instructions is not a loop of its own."""
    outer = ["MOV R0, R1", "IADD3 R0, R0, 1, RZ"]
    inner = [f"FFMA R{i}, R1, R2, R3" for i in range(10)]
    (function,) = parse_listing(
        _listing(*outer, *inner, "@P0 BRA 0x20", "SYNCS R1", "@P2 BRA 0xd0", "@P1 BRA 0x10", "EXIT")
    )
    body = innermost(natural_loops(function.instructions))
    assert body is not None
    assert [i.base for i in body] == ["FFMA"] * 10 + ["BRA"]


def test_a_retry_placed_behind_the_end_is_not_a_loop() -> None:
    """A barrier's retry jumps back into straight-line code: nothing repeats but the retry itself."""
    straight = ["MOV R0, R1", "@!P0 BRA 0xc0", *["FADD R1, R1, R2"] * 9, "EXIT"]
    (function,) = parse_listing(_listing(*straight, "SYNCS R1", "@!P1 BRA 0xc0", "BRA 0x20"))
    assert innermost(natural_loops(function.instructions)) is None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["IMAD R1, R2, R3, R4", "HGMMA.64x16x16.F32.BF16 R24, R4, gdesc[UR4], R24"], "matrix:HGMMA"),
        (["HMMA.16816.F32.BF16 R1, R2, R3, R4"], "matrix:HMMA"),
        (["QGMMA.64x256x32.F32.E4M3.E4M3 R1, gdesc[UR4], R1"], "matrix:QGMMA"),
        (["UTCHMMA gdesc[UR6], gdesc[UR8], tmem[UR10], tmem[UR30], idesc[UR31], UPT"], "matrix:UTCHMMA"),
        (["FFMA R1, R2, R3, R4", "FFMA R1, R2, R3, R4", "HFMA2 R1, R2, R3, R4"], "simt:FFMA"),
        (["LDG.E.128 R4, [R2.64]", "STG.E.128 [R2.64], R4"], "memory"),
    ],
)
def test_the_class_is_the_instruction_that_does_the_arithmetic(lines: list[str], expected: str) -> None:
    """Matrix instructions win over vector ones, which win over address arithmetic."""
    (function,) = parse_listing(_listing(*lines, "EXIT"))
    assert instruction_class(function) == expected


_PTX = """
.version 7.8
.target sm_80
.address_size 64
.visible .entry scale(.param .u64 p, .param .u32 n) {
  .reg .b64 a; .reg .b32 i, n; .reg .f32 x, y; .reg .pred again;
  ld.param.u64 a, [p]; ld.param.u32 n, [n]; mov.u32 i, 0; mov.f32 y, 0f3F800000;
loop:
  ld.volatile.global.f32 x, [a]; fma.rn.f32 y, x, y, y; add.u32 i, i, 1; setp.lt.u32 again, i, n;
  @again bra loop;
  st.global.f32 [a], y; ret;
}
"""


def test_a_cubin_that_no_triton_made_is_read(tmp_path: Path) -> None:
    """Plain PTX through ptxas: registers, class and the loop, with no Triton in between."""
    import triton

    ptxas = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "ptxas"
    source, cubin = tmp_path / "scale.ptx", tmp_path / "scale.cubin"
    source.write_text(
        _PTX.replace("[n]; mov", "[scale_n]; mov").replace(".param .u32 n)", ".param .u32 scale_n)")
    )
    subprocess.run([ptxas, "-arch=sm_80", source, "-o", cubin], check=True)
    (report,) = read_cubin(cubin)
    assert (report.name, report.arch, report.instruction_class) == ("scale", "sm_80", "simt:FFMA")
    assert report.has_loop
    assert report.loop_opcodes["FFMA"] >= 1
    assert report.spill_instructions == 0
    assert 4 < report.registers < 40
    assert read_cubin(cubin.read_bytes()) == (report,)


def test_many_cubins_are_read_at_once_as_one_by_one() -> None:
    """Functions with and without a loop, in three cubins: each has the report of its own reading."""
    source = read_source("onchip.cu")
    cubins = [compile_cuda(text, "sm_90a") for text in (source, "__global__ void empty() {}", source)]
    together = read_cubins(cubins, "sm_90a")
    assert [sorted(report.name for report in reports) for reports in together][1] == ["_Z5emptyv"]
    for cubin, reports in zip(cubins, together, strict=True):
        assert {r.name: r for r in reports} == {r.name: r for r in read_cubin(cubin)}


@pytest.mark.parametrize(
    "cubin", [b"", b"not machine code", b"\x7fELF" + bytes(60), b"\x7fELF" + b"\xff" * 60]
)
def test_other_bytes_than_a_cubin_are_one_line(cubin: bytes) -> None:
    """Nothing to read, cut off, or places outside the file."""
    with pytest.raises(DisassemblyError, match="cubin"):
        read_cubins([cubin], "sm_90a")


def test_an_architecture_that_the_tool_does_not_know_is_one_line() -> None:
    """The tests of young architectures are skipped by these words."""
    cubin = compile_cuda("__global__ void empty() {}", "sm_90a")
    with pytest.raises(DisassemblyError, match="'SM999' is not defined for option 'binary'"):
        read_cubins([cubin], "sm_999")


def test_a_file_that_is_not_a_cubin_is_one_line(tmp_path: Path) -> None:
    """The error names the file and does not traceback through the tool's output."""
    bad = tmp_path / "bad.cubin"
    bad.write_bytes(b"not machine code")
    with pytest.raises(DisassemblyError, match=r"bad\.cubin"):
        read_cubin(bad)


def test_the_disassembler_is_looked_for_on_the_path_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without packages, triton and toolkit the error names the packages to install."""
    from quantroof.kernels.sass import cubin

    cubin.cuobjdump.cache_clear()
    monkeypatch.setattr(cubin, "find_spec", lambda _: None)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(DisassemblyError, match="nvidia-cuda-cuobjdump"):
        cubin.cuobjdump()
    cubin.cuobjdump.cache_clear()
