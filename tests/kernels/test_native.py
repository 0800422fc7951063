"""Native or emulated, held by assembling every instruction again (NVRTC and cuobjdump, no GPU)."""

from __future__ import annotations

from collections import Counter

import pytest

from quantroof.errors import QuantroofError
from quantroof.hwprofiles import native
from quantroof.kernels.ceilings.instructions import INSTRUCTIONS
from quantroof.kernels.sass.native import ARCHITECTURES, judge, native_table
from quantroof.kernels.sass.nvrtc import Refusal, compile_cuda
from tests.kernels.disassembler import or_skipped_where_it_is_too_old


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_shipped_table_is_what_the_compiler_makes_today(arch: str) -> None:
    """Verdicts and opcodes of all cells; a refusal's wording may change with the compiler."""
    with or_skipped_where_it_is_too_old():
        made = {(c.element, c.accumulator, c.path): c for c in native_table([arch])}
    shipped = {(c.element, c.accumulator, c.path): c for c in native.cells() if c.arch == arch}
    assert set(made) == set(shipped)
    for key, cell in made.items():
        assert cell.verdict == shipped[key].verdict, key
        if cell.verdict != "refused":
            assert cell.evidence == shipped[key].evidence, key


def test_the_table_covers_every_instruction_on_every_architecture() -> None:
    """One cell each, none twice."""
    counts = Counter((c.arch, c.path, c.element, c.accumulator) for c in native.cells())
    assert len(counts) == len(ARCHITECTURES) * len(INSTRUCTIONS)
    assert set(counts.values()) == {1}


@pytest.mark.parametrize(
    ("element", "capability", "verdict"),
    [
        ("fp8_e4m3", "9.0", "native"),
        ("fp8_e4m3", "8.9", "native"),
        ("fp8_e4m3", "8.6", "refused"),
        ("fp8_e5m2", "10.0", "native"),
        ("int4", "8.0", "native"),
        ("int4", "8.6", "native"),
        ("int4", "8.9", "native"),
        ("int4", "9.0", "emulated"),
        ("int4", "10.0", "emulated"),
        ("int4", "12.0", "emulated"),
        ("int8", "10.0", "native"),
        ("bf16", "8.6", "native"),
        ("fp4", "9.0", "refused"),
        ("fp4", "10.0", "native"),
        ("fp4", "12.0", "native"),
        ("fp6", "12.0", "native"),
        ("bf16", "7.0", None),
        ("int4", "8.7", "native"),
        ("fp8_e4m3", "8.7", "refused"),
        ("int4", "12.1", "emulated"),
        ("fp4", "12.1", "native"),
        ("b1", "8.6", "native"),
        ("b1", "9.0", "native"),
        ("b1", "10.0", "emulated"),  # into int8 products of unpacked bits
        ("b1", "12.1", "emulated"),
        ("int8", "10.3", "native"),  # by mma.sync alone: tcgen05 refuses it
        ("fp4", "10.3", "native"),
        ("fp8_e4m3", "10.7", "native"),
        ("int8", "11.0", "native"),
    ],
)
def test_formats_are_native_where_any_path_has_them(
    element: str, capability: str, verdict: str | None
) -> None:
    """What is known of the generations comes out of the table."""
    assert native.overall(element, capability) == verdict


def test_fp8_on_hopper_is_native_by_wgmma_only() -> None:
    """mma.sync converts to fp16 there; that alone must not decide."""
    paths = {c.path: c for c in native.paths_of("fp8_e4m3", "9.0") if c.accumulator == "fp32"}
    assert (paths["mma.sync"].verdict, paths["mma.sync"].evidence) == ("emulated", "HMMA.16816.F32")
    assert paths["wgmma"].verdict == "native"
    assert paths["wgmma"].evidence.startswith("QGMMA")
    assert paths["tcgen05"].verdict == "refused"


def test_an_emulation_is_not_taken_for_the_format() -> None:
    """int4 on Hopper assembles into int8 products, and that is what the cell shows."""
    instruction = next(i for i in INSTRUCTIONS if i.name == "mma.sync/int4/int32")
    cell = judge(instruction, "sm_90a")
    assert (cell.verdict, cell.evidence) == ("emulated", "IMMA.16832.S8.S8")


def test_a_source_that_does_not_compile_is_a_refusal_with_its_complaint() -> None:
    """The first error, with file and architecture."""
    with pytest.raises(Refusal, match=r"broken\.cu for sm_90a: .*undefined_name"):
        compile_cuda("__global__ void k() { undefined_name(); }", "sm_90a", name="broken.cu")


def test_an_unknown_architecture_is_refused() -> None:
    """NVRTC's complaint is in the error."""
    with pytest.raises(QuantroofError):
        compile_cuda("__global__ void k() {}", "sm_1")
