"""Block-scaled products in Triton: quantizing bit for bit, hostile values, positions, refusals."""

from __future__ import annotations

import random

import pytest

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Skip
from quantroof.kernels.linear.scaled_programs import program
from quantroof.kernels.linear.triton_scaled import KERNELS, emulated
from quantroof.kernels.program import Target
from tests.kernels.interpreter import Interpreter

FORMATS = {
    "triton.quant+mxfp8": "mxfp8.g32-mxfp8.g32.from_bf16-bf16",
    "triton.quant+mxfp4": "mxfp4.g32-mxfp4.g32.from_bf16-bf16",
    "triton.quant+nvfp4": "nvfp4.g16-nvfp4.g16.from_bf16-bf16",
    "triton.quant+mxfp4_w4a8": "mxfp4.g32-mxfp8.g32.from_bf16-bf16",
}
BY_NAME = {kernel.name: kernel for kernel in KERNELS}


def shape(seed: int) -> str:
    """A shape on and off the edges of tiles: one row, both positions of the weights, parts of K."""
    source = random.Random(seed)
    m = source.choice((1, 2, 15, 16, 17, 33, 64, 65, 100))
    return f"m{m}-n{16 * source.randint(1, 9)}-k{128 * source.randint(1, 6)}"


def case_of(kernel: str, sizes: str) -> str:
    """A case id of a kernel."""
    return f"{'gemv' if sizes.startswith('m1-') else 'gemm'}/{FORMATS[kernel]}/{sizes}"


def marks_of(index: int, seed: int) -> list[pytest.MarkDecorator]:
    """One seed per kernel is quick, five are long, all hundred are part of the acceptance."""
    return [] if seed == index else [pytest.mark.long if seed < 6 else pytest.mark.slow]


HOSTILE = [
    pytest.param(kernel, seed, marks=marks_of(index, seed))
    for index, kernel in enumerate(FORMATS)
    for seed in range(100)
]


@pytest.mark.parametrize(("kernel", "seed"), HOSTILE)
def test_hostile_values_are_within_the_rounding_of_bf16(
    kernel: str, seed: int, interpreter: Interpreter
) -> None:
    """Against float64 of the codes: rows of any size, zero blocks, outliers, every position."""
    capability = ("10.0", "12.0")[seed % 2] if "w4a8" not in kernel else "10.0"
    assert (
        interpreter.hostile(kernel, case_of(kernel, shape(seed)), capability, seed).result(timeout=300) <= 1
    )


@pytest.mark.parametrize(("m", "turned"), [(1, True), (64, True), (65, False), (4096, False)])
def test_few_activations_are_columns_beside_128_weights(m: int, turned: bool) -> None:
    """Blackwell multiplies natively in tiles of 128 rows: with few rows these are the weights."""
    code = program(Case.parse(case_of("triton.quant+mxfp4", f"m{m}-n4096-k4096")), Target((10, 0), 148))
    constants = code.constants
    assert constants["TURNED"] is turned
    assert constants["BN" if turned else "BM"] == 128


@pytest.mark.parametrize(
    ("kernel", "capability", "sizes", "reason"),
    [
        ("triton.quant+mxfp8", "9.0", "m1-n128-k128", "need compute capability 10.0"),
        ("triton.quant+mxfp8", "9.4", "m1-n128-k128", "gfx942"),
        ("triton.quant+mxfp4_w4a8", "12.0", "m1-n128-k128", "only tcgen05 multiplies the two"),
        ("triton.quant+nvfp4", "10.0", "m1-n128-k96", "K to be a multiple of 128"),
        ("triton.quant+nvfp4", "10.0", "m1-n24-k128", "N to be a multiple of 16"),
    ],
)
def test_what_cannot_be_native_is_refused_with_its_reason(
    kernel: str, capability: str, sizes: str, reason: str
) -> None:
    """Silicon without the format, a pair that the compiler emulates, sizes between the blocks."""
    device = Device(kind="sim", index=0, name="x", compute_capability=capability)
    refused = BY_NAME[kernel].check(Case.parse(case_of(kernel, sizes)), device)
    assert isinstance(refused, Skip)
    assert reason in refused.reason


def test_swizzled_scales_are_refused() -> None:
    """The kernel reads plain scales; the format names the other layout."""
    device = Device(kind="sim", index=0, name="x", compute_capability="10.0")
    case = Case.parse("gemm/mxfp4.g32.swizzled-mxfp4.g32.from_bf16-bf16/m64-n128-k128")
    refused = BY_NAME["triton.quant+mxfp4"].check(case, device)
    assert isinstance(refused, Skip)
    assert "plain order" in refused.reason


@pytest.mark.parametrize("kernel", ["triton.quant+mxfp8", "triton.quant+mxfp4", "triton.quant+nvfp4"])
def test_activations_are_quantized_bit_for_bit(kernel: str, interpreter: Interpreter) -> None:
    """Codes and scales of Triton equal those of the pure torch quantizer on hostile rows."""
    assert interpreter.quantized_alike(case_of(kernel, "m6-n16-k1152")).result(timeout=60) == 0


@pytest.mark.long
@pytest.mark.parametrize(("capability", "words"), [("12.0", None), ("9.0", "emulates this format here")])
def test_an_emulation_shows_in_the_ptx(capability: str, words: str | None) -> None:
    """The same product is native on 12.0, and unpacked to bf16 on 9.0, where no unit has it."""
    case = Case.parse(case_of("triton.quant+mxfp4", "m1-n128-k128"))
    device = Device(kind="cuda", index=0, name="x", compute_capability=capability, sm_count=4)
    skip = emulated(program(case, Target.of(device)), device)
    assert (skip is None) == (words is None)
    assert skip is None or words is None or words in skip.reason
