"""The tables behind `quantroof stack`: complete, what the compiler makes, and whole where a compiler dies."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec
import pytest

from quantroof.errors import EnvironmentMissing, UsageError
from quantroof.kernels.architectures import ARCHITECTURES, NVIDIA
from quantroof.kernels.sass.batch import functions_of
from quantroof.kernels.stack import cell, table
from quantroof.kernels.stack.probes import BY_NAME, TILES, tiles_of
from tests.kernels.disassembler import or_skipped_where_it_is_too_old

NEWEST = table.shipped_versions()[-1]

# Native, native with the weights as rows, the older path, AMD.
SAMPLE = [
    ("sm_121a", "nvfp4-w4a4", 0),
    ("sm_100a", "mxfp8-w8a8", 3),
    ("sm_103a", "int8-w8a8", 0),
    ("gfx950", "mxfp4-w4a4", 0),
]


def test_the_newest_table_has_every_product_once() -> None:
    """Each architecture, format and tile, in the order in which they are compiled."""
    expected = [
        (arch, item.name, str(tile))
        for arch in ARCHITECTURES
        for item in BY_NAME.values()
        for tile in tiles_of(item, arch)
    ]
    assert [(c.arch, c.format, c.tile) for c in table.shipped(NEWEST)] == expected


@pytest.mark.parametrize(("arch", "name", "tile"), SAMPLE)
def test_the_shipped_table_is_what_the_compiler_makes_today(arch: str, name: str, tile: int) -> None:
    """A sample is compiled again; `scripts/stack_table` compiles the rest."""
    pytest.importorskip("triton")
    from quantroof.kernels.stack.compile import compiled

    shipped = {(c.arch, c.format, c.tile): c for c in table.shipped(table.triton_version())}
    if not shipped:
        pytest.skip(f"no table of triton {table.triton_version()} travels with quantroof")
    result = compiled(BY_NAME[name], TILES[tile], arch)
    made = result.cell
    if result.cubin is not None:
        with or_skipped_where_it_is_too_old():
            made = cell.read(made, functions_of([result.cubin], arch)[0])
    assert made == shipped[arch, name, str(TILES[tile])]


DYING = """
import sys
sys.path.insert(0, {root!r})
import msgspec
from quantroof.kernels.stack.cell import Compiled, StackCell
from quantroof.kernels.stack.probes import BY_NAME, tiles_of
arch, *done = sys.argv[1:]
for item in BY_NAME.values():
    for tile in tiles_of(item, arch):
        name = item.name + "/" + str(tile)
        if name in done:
            continue
        print(name, flush=True)
        if item.name == "int8-w8a8":
            import os
            os.abort()
        cell = StackCell(arch=arch, format=item.name, tile=str(tile), family="16-bit", opcode="v_mfma_bf16")
        print(msgspec.json.encode(Compiled(cell)).decode(), flush=True)
"""


def test_a_product_that_ends_the_compiler_costs_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others are compiled in a new process behind it."""
    script = tmp_path / "compiler.py"
    script.write_text(DYING.format(root=str(Path(__file__).parents[2])))
    monkeypatch.setattr(table, "_COMPILER", (sys.executable, str(script)))
    cells = table.compile_arch("gfx942")
    dead = [c for c in cells if c.error is not None]
    assert {c.format for c in dead} == {"int8-w8a8"}
    assert {c.error for c in dead} == {"the compiler ended its process"}
    assert len(cells) == sum(len(tiles_of(item, "gfx942")) for item in BY_NAME.values())


def test_a_compiler_that_cannot_start_is_said_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of its error is in the message, and no product is blamed."""
    monkeypatch.setattr(table, "_COMPILER", (sys.executable, "-c", "raise ImportError('no libz')"))
    with pytest.raises(EnvironmentMissing, match="ImportError: no libz"):
        table.compile_arch("gfx942")


def test_a_table_is_compiled_once_per_wheel_and_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second call reads the kept table; another version of Triton does not."""
    pytest.importorskip("triton")
    compiled: list[str] = []
    shipped = [c for c in table.shipped(NEWEST) if c.arch == "gfx950"]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def compile_arch(arch: str) -> list[cell.StackCell]:
        compiled.append(arch)
        return shipped

    monkeypatch.setattr(table, "compile_arch", compile_arch)
    assert table.installed(["gfx950"]) == table.installed(["gfx950"]) == shipped
    assert compiled == ["gfx950"]
    monkeypatch.setattr(table, "triton_version", lambda: "99.0.0")
    table.installed(["gfx950"])
    assert compiled == ["gfx950", "gfx950"]


def test_an_unknown_architecture_is_refused_with_the_nearest() -> None:
    """Before anything is compiled."""
    with pytest.raises(UsageError, match="sm_12"):
        table.installed(["sm_122a"])


@pytest.mark.parametrize(
    ("opcode", "family"),
    [
        ("HMMA.16816.F32.BF16", "16-bit"),
        ("HGMMA.64x128x16.F32.BF16", "16-bit"),
        ("UTCHMMA", "16-bit"),
        ("QMMA.SF.16832.F32.E4M3.E4M3.E8", "fp8"),
        ("QGMMA.64x64x32.F32.E4M3.E4M3", "fp8"),
        ("UTCQMMA", "fp8"),
        ("OMMA.SF.16864.F32.E2M1.E2M1.E8", "fp4"),
        ("UTCOMMA.4X", "fp4"),
        ("IMMA.16832.S8.S8.SAT", "int8"),
        ("IGMMA.64x64x32.S8.S8", "int8"),
        ("UTCIMMA", "int8"),
        ("DMMA.8x8x4", None),
    ],
)
def test_an_opcode_names_what_it_multiplies(opcode: str, family: str | None) -> None:
    """The same letter on mma.sync, wgmma and tcgen05."""
    assert cell.family_of(opcode) == family


@pytest.mark.parametrize(
    ("line", "wanted", "family"),
    [
        ("v_mfma_f32_32x32x16_bf16 v[0:15]", "16-bit", "16-bit"),
        ("v_mfma_f32_32x32x16_fp8_fp8 v[0:15]", "fp8", "fp8"),
        ("v_mfma_f32_32x32x8_f16 v[0:15]", "fp8", "16-bit"),
        ("v_mfma_i32_32x32x32_i8 v[0:15]", "int8", "int8"),
        ("v_mfma_scale_f32_16x16x128_f8f6f4 v[0:3]", "fp4", "fp4"),
        ("v_mfma_f32_16x16x128_f8f6f4 v[0:3]", "fp4", "fp8"),
        ("v_fma_f32 v0, v1, v2", "fp8", None),
    ],
)
def test_amd_assembly_names_what_it_multiplies(line: str, wanted: str, family: str | None) -> None:
    """fp4 needs the scaled instruction; a plain f8f6f4 one multiplies 8-bit floats."""
    _, found, spills = cell.amd_code(f"{line}\n.vgpr_spill_count: 7\n", wanted)  # type: ignore[arg-type]
    assert (found, spills) == (family, 7)


def test_every_nvidia_architecture_is_in_the_silicon_table() -> None:
    """Otherwise its formats would count as not in the silicon, and nothing as emulated."""
    from quantroof.hwprofiles import native

    assert set(NVIDIA) <= {c.arch for c in native.cells()}


def test_cells_are_stored_without_what_is_absent() -> None:
    """The tables travel with the package; a null in every line would double them."""
    line = msgspec.json.encode(cell.StackCell(arch="sm_80", format="bf16", tile="16x128"))
    assert line == b'{"arch":"sm_80","format":"bf16","tile":"16x128"}'
