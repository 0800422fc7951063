"""Grouped products in Triton: tiles cover every row once, padding as counted, results against float64."""

from __future__ import annotations

import random

import pytest

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.experts.case import ExpertsCase
from quantroof.kernels.experts.triton_experts import KERNELS, contiguous_plan, program, slots, tile_rows
from quantroof.kernels.kernel import Skip
from quantroof.kernels.program import Target
from tests.kernels.interpreter import Interpreter

BY_NAME = {kernel.name: kernel for kernel in KERNELS}
FP8 = "fp8_e4m3.channel-fp8_e4m3.token.from_bf16-bf16"
SHAPES = ("t5-p2-e4-n64-k256-zipf1.0", "t1-p1-e8-n128-k128-uniform", "t40-p2-e3-n192-k384-counts.0x70.2x10")


def random_case(source: random.Random) -> ExpertsCase:
    """Any routing of up to 200 tokens over up to 32 experts."""
    experts = source.randint(1, 32)
    per_token = source.randint(1, min(4, experts))
    routing = source.choice(("uniform", "zipf0.7", "zipf1.0", "zipf2.0"))
    sizes = f"t{source.randint(1, 200)}-p{per_token}-e{experts}-n64-k128"
    return ExpertsCase.parse(f"grouped_gemm/bf16-bf16-bf16/{sizes}-{routing}")


def test_tiles_cover_every_row_once_and_pad_as_counted() -> None:
    """1,000 routings: each row in one tile of its own expert; launched rows are the case's padded ones."""
    source = random.Random(4)
    for _ in range(1000):
        case = random_case(source)
        block, owner = tile_rows(case), [e for e, rows in enumerate(case.rows) for _ in range(rows)]
        covered = [
            (expert, row)
            for expert, first, left in contiguous_plan(case)
            for row in range(first, first + min(left, block))
        ]
        assert covered == list(zip(owner, range(case.m), strict=True))
        assert len(contiguous_plan(case)) * block == case.padded_rows(block)
        assert (slots(case) - 1) * block < max(case.rows) <= slots(case) * block


def test_one_program_per_tile_of_rows_is_launched() -> None:
    """Contiguous rows have the plan's tiles, the masked layout all slots of all experts."""
    case = random_case(random.Random(5))
    assert program(case, Target((9, 0), 132)).grid[1] == len(contiguous_plan(case))
    assert program(case, Target((9, 0), 132), masked=True).grid[1] == case.experts * slots(case)


JOBS = [
    (name, f"grouped_gemm/{formats}/{shape}", capability)
    for name, kernel in BY_NAME.items()
    for formats in (
        [FP8] if "quant" in name else ["bf16-bf16-bf16", "int4.g128-bf16-bf16", "mxfp4.g32-bf16-bf16"]
    )
    for shape in SHAPES
    for capability in ("9.0", "8.9")
]
QUICK = [
    ("triton.grouped", f"grouped_gemm/bf16-bf16-bf16/{SHAPES[0]}", "9.0"),
    ("triton.grouped_masked", f"grouped_gemm/int4.g128-bf16-bf16/{SHAPES[0]}", "8.9"),
]


@pytest.mark.parametrize(
    ("kernel", "case", "capability"),
    [pytest.param(*job, marks=() if job in QUICK else pytest.mark.long) for job in JOBS],
)
def test_grouped_products_match_float64(
    kernel: str, case: str, capability: str, interpreter: Interpreter
) -> None:
    """Experts with many rows, one or none, in both layouts; calling again gives the same bits."""
    result = interpreter.submit(kernel, case, capability).result(timeout=300)
    assert result["error"] <= result["tolerance"]
    assert result["again"] == 0


@pytest.mark.parametrize(
    ("kernel", "formats", "sizes", "capability", "reason"),
    [
        ("triton.grouped", "bf16-bf16-bf16", "n64-k96", "9.0", "K to be a multiple of 128"),
        ("triton.grouped_masked", "bf16-bf16-bf16", "n96-k128", "9.0", "N to be a multiple of 64"),
        ("triton.grouped", "int4.g128-bf16-bf16", "n96-k128", "9.0", "N to be a multiple of 64"),
        ("triton.grouped", "mxfp4.g32.swizzled-bf16-bf16", "n64-k128", "9.0", "name the plain format"),
        ("triton.quant+grouped", FP8, "n64-k128", "8.6", "need compute capability 8.9"),
    ],
)
def test_what_it_cannot_do_is_refused_in_one_line(
    kernel: str, formats: str, sizes: str, capability: str, reason: str
) -> None:
    """Sizes between the tiles, a scale layout that it does not read, a GPU without the type."""
    device = Device(kind="sim", index=0, name="x", compute_capability=capability)
    case = Case.parse(f"grouped_gemm/{formats}/t2-p1-e4-{sizes}-uniform")
    refused = BY_NAME[kernel].check(case, device)
    assert isinstance(refused, Skip)
    assert reason in refused.reason
    assert "\n" not in refused.reason
