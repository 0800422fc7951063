"""Machine code for B300, Rubin, Thor, GB10 and AMD's GPUs, against the promise and a golden table."""

from __future__ import annotations

import json
from functools import cache

import msgspec
import pytest
import triton

from quantroof.kernels.architectures import AMD
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Skip
from quantroof.kernels.program import Program
from quantroof.kernels.registry import load
from quantroof.kernels.sass import table
from quantroof.kernels.sass.amd import program_for
from quantroof.kernels.sass.amdgcn import read_amdgcn
from quantroof.kernels.sass.table import Job, Row, jobs
from tests.kernels.golden import NEWER, NEWER_FILE, ir_digests

# One of each path: TMA and tcgen05, mma.sync where only that has int8, fp4 unpacked, AMD's matrix units.
SAMPLE = (
    ("triton.fp8", "gemm/fp8_e4m3.tensor-fp8_e4m3.tensor-bf16/m4096-n4096-k4096", "sm_103a"),
    ("triton.int8", "gemm/int8.channel-int8.token-bf16/m4096-n4096-k4096", "sm_107a"),
    ("triton.mxfp4", "gemv/mxfp4.g32-bf16-bf16/m1-n4096-k4096", "sm_110a"),
    ("triton.bf16", "gemv/bf16-bf16-bf16/m1-n4096-k4096", "sm_121a"),
    ("triton.fp8", "gemv/fp8_e4m3.tensor-fp8_e4m3.tensor-bf16/m1-n4096-k4096", "gfx942"),
    ("triton.bf16", "gemv/bf16-bf16-bf16/m1-n4096-k4096", "gfx950"),
)


@cache
def golden() -> dict[tuple[str, str, str], Row]:
    """The committed rows."""
    rows = msgspec.convert(json.loads(NEWER_FILE.read_text())["rows"], list[Row])
    return {(row.kernel, row.case, row.arch): row for row in rows}


def compiled(sample: list[Job]) -> list[Row]:
    """Rows compiled now, where the table is of this Triton."""
    if triton.__version__ != json.loads(NEWER_FILE.read_text())["triton"]:
        pytest.skip(f"the golden table is not of triton {triton.__version__}")
    return table.rows_of(sample, workers=1)


def test_every_row_keeps_its_promise() -> None:
    """Declared class, no spills, or a reason: for every kernel on every newer architecture."""
    assert golden().keys() == {(job.kernel, job.case, job.arch) for job in jobs(NEWER)}
    assert [row for row in golden().values() if row.verdict] == []
    assert [row for row in golden().values() if row.status == "compiled" and row.expected is None] == []
    assert all(row.reason for row in golden().values() if row.status == "skipped")


def test_weight_only_kernels_are_refused_for_amd_with_their_reason() -> None:
    """Their PTX would end the process of AMD's compiler, so that it is never started."""
    kernels = load().kernels
    case = Case.parse("gemv/int4.g128-bf16-bf16/m1-n4096-k4096")
    refused = program_for(kernels["triton.int4"], case, "gfx950")
    assert isinstance(refused, Skip)
    assert "PTX unpacks its weights" in refused.reason


def test_fp8_is_the_fnuz_variant_on_gfx942() -> None:
    """gfx942 would widen e4m3fn to fp16; gfx950 multiplies it. A kernel that writes e4m3fn is refused."""
    kernels = load().kernels
    case = Case.parse("gemm/fp8_e4m3.tensor-fp8_e4m3.tensor-bf16/m4096-n4096-k4096")
    programs = {arch: program_for(kernels["triton.fp8"], case, arch) for arch in AMD}
    types = {arch: p.arguments[0] for arch, p in programs.items() if isinstance(p, Program)}
    assert types == {"gfx942": "*fp8e4b8", "gfx950": "*fp8e4nv"}
    quantizing = Case.parse("act_quant/none-bf16-fp8_e4m3.token/m4096-n4096-k4096")
    assert isinstance(program_for(kernels["triton.act_quant"], quantizing, "gfx942"), Skip)
    assert isinstance(program_for(kernels["triton.act_quant"], quantizing, "gfx950"), Program)


ASSEMBLY = """
\tv_mfma_f32_32x32x16_bf16 v[0:15], v[16:19], v[20:23], v[0:15]
\tv_mfma_f32_32x32x16_bf16 v[0:15], v[16:19], v[20:23], v[0:15]
\ts_endpgm
    .sgpr_spill_count: 1
    .vgpr_count:     118
    .vgpr_spill_count: 2
"""


@pytest.mark.parametrize(
    ("opcode", "instruction_class"),
    [
        ("v_mfma_f32_32x32x16_bf16", "matrix:MFMA_BF16"),
        ("v_mfma_f32_32x32x8_bf16_1k", "matrix:MFMA_BF16_1K"),
        ("v_mfma_i32_16x16x32_i8", "matrix:MFMA_I8"),
        ("v_mfma_f32_32x32x16_fp8_fp8", "matrix:MFMA_FP8_FP8"),
        ("v_mfma_scale_f32_16x16x128_f8f6f4", "matrix:MFMA_F8F6F4"),
        ("v_fma_f32", "simt:V_FMA_F32"),
        ("global_load_dwordx4", "memory"),
    ],
)
def test_the_class_is_what_the_matrix_units_multiply(opcode: str, instruction_class: str) -> None:
    """The shape of the instruction is not part of its class."""
    code = read_amdgcn(ASSEMBLY.replace("v_mfma_f32_32x32x16_bf16", opcode))
    assert code.instruction_class == instruction_class
    assert (code.vgprs, code.spilled_registers, code.instructions) == (118, 3, 3)


@pytest.mark.long
def test_a_sample_compiles_to_the_golden_rows() -> None:
    """One row per architecture is compiled again."""
    sample = [Job(*names) for names in SAMPLE]
    assert {job.arch for job in sample} == set(NEWER)
    assert compiled(sample) == [golden()[names] for names in SAMPLE]


@pytest.mark.slow
def test_the_whole_table_is_what_compiles_today() -> None:
    """Every row of every newer architecture, and the IR that it is made of."""
    rows = compiled(jobs(NEWER))
    assert [row for row in rows if row != golden()[row.kernel, row.case, row.arch]] == []
    assert ir_digests(NEWER) == json.loads(NEWER_FILE.read_text())["ir"]
