"""MXFP8, MXFP4 and NVFP4: every code and scale, both layouts, bytes, and other people's quantizers."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantroof.errors import UsageError
from quantroof.kernels.block_scales import (
    e2m1_codes,
    e2m1_values,
    e8m0_values,
    nvfp4_tensor_scale,
    quantize_blocks,
    scale_codes,
    swizzled,
    unswizzled,
)
from quantroof.kernels.formats import Format, e2m1_levels, element
from quantroof.kernels.packing import pack_nibbles
from quantroof.kernels.quantize import quantize


# OCP Microscaling Formats 1.0, table of E2M1: sign, two bits of exponent with bias 1, one bit of mantissa.
def _by_the_specification(code: int) -> float:
    sign, exponent, mantissa = code >> 3, code >> 1 & 3, code & 1
    magnitude = (2 + mantissa) * 2.0**exponent / 4 if exponent else mantissa / 2
    return -magnitude if sign else magnitude


def test_all_sixteen_codes_have_their_values() -> None:
    """By the bits of the specification, minus zero included."""
    codes = torch.arange(16, dtype=torch.uint8)

    assert e2m1_values(codes, torch.float64).tolist() == [_by_the_specification(code) for code in range(16)]
    assert torch.signbit(e2m1_values(codes)).tolist() == [code > 7 for code in range(16)]
    assert torch.equal(e2m1_codes(e2m1_values(codes)), codes)


def test_every_midpoint_goes_to_the_even_code_and_its_neighbors_to_the_nearest() -> None:
    """All seven, both signs; one fp32 step beside a midpoint there is no tie."""
    magnitudes = e2m1_levels()[:8]
    for low in range(7):
        middle = torch.tensor((magnitudes[low] + magnitudes[low + 1]) / 2)
        below, above = torch.nextafter(middle, torch.zeros(())), torch.nextafter(middle, torch.tensor(9.0))
        for sign in (0, 8):
            signed = torch.stack([below, middle, above]) * (-1 if sign else 1)
            even = low if low % 2 == 0 else low + 1
            assert e2m1_codes(signed).tolist() == [low + sign, even + sign, low + 1 + sign]


def test_what_lies_beyond_six_saturates() -> None:
    """Every magnitude from 5 on, however large, is code 7: e2m1 has no infinity."""
    values = torch.tensor([5.0, 5.0001, 6.0, 7.0, 1e30, float("inf"), -1e30])

    assert e2m1_codes(values).tolist() == [6, 7, 7, 7, 7, 7, 15]


def test_all_e8m0_scales_are_the_powers_of_two_of_torch() -> None:
    """256 codes from 2^-127 to 2^127, 255 is NaN; stored again they are the same codes."""
    codes = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    values = e8m0_values(codes)

    assert values.double()[:255].tolist() == [2.0 ** (code - 127) for code in range(255)]
    assert torch.isnan(values[255])
    assert torch.equal(values[:255], codes.view(torch.float8_e8m0fnu).float()[:255])
    assert torch.equal(scale_codes(values, element("mxfp4")), codes)


def test_all_e4m3_scales_survive_storage() -> None:
    """256 codes by value and back; the two NaN stay NaN."""
    codes = torch.arange(256, dtype=torch.int32).to(torch.uint8)
    values = codes.view(torch.float8_e4m3fn).float()
    stored = scale_codes(values, element("nvfp4"))

    finite = ~torch.isnan(values)
    assert int(finite.sum()) == 254
    assert torch.equal(stored[finite], codes[finite])
    assert torch.isnan(stored[~finite].view(torch.float8_e4m3fn).float()).all()


def test_a_nan_scale_makes_its_block_nan_and_no_other() -> None:
    """As the specification says, whatever the codes are."""
    quantized = quantize(torch.ones(1, 64), Format.parse("mxfp4.g32"))
    quantized.scale[0, 1] = float("nan")

    values = quantized.dequantized()
    assert torch.isnan(values[0, 32:]).all()
    assert torch.equal(values[0, :32], torch.ones(32, dtype=torch.float64))


@pytest.mark.parametrize(("name", "exponent"), [("mxfp4", 2), ("mxfp8", 8)])
def test_an_mx_scale_is_the_power_of_two_of_the_largest_value(name: str, exponent: int) -> None:
    """For every exponent of fp32, at the power itself and one step below the next one; clamped."""
    for power in range(-126, 128):
        for largest in (2.0**power, 2.0**power * (2 - 2.0**-23)):
            x = torch.zeros(1, 32)
            x[0, 5] = largest
            scale = float(quantize_blocks(x, element(name)).scales)
            assert scale == 2.0 ** max(power - exponent, -127)


def test_the_largest_block_of_nvfp4_has_the_largest_scale() -> None:
    """Its block scale is 448 and its largest code 6; a tensor of zeros has scale 1 and codes of zero."""
    x = torch.randn(8, 64, generator=torch.Generator().manual_seed(0))
    x[3, 17] = 40.0
    blocks = quantize_blocks(x, element("nvfp4"))

    assert float(blocks.scales.max()) == float(blocks.scales[3, 1]) == 448.0
    assert int(blocks.codes[3, 17]) == 7
    assert float(nvfp4_tensor_scale(x)) == pytest.approx(40 / 2688, rel=1e-6)
    zeros = quantize(torch.zeros(2, 32), Format.parse("nvfp4.g16"))
    assert torch.equal(zeros.dequantized(), torch.zeros(2, 32, dtype=torch.float64))


@pytest.mark.parametrize(
    ("largest", "scale"),
    [(2688.0, 448.0), (12.0, 2.0), (6 * 2.0**-6, 2.0**-6), (0.01, 2.0**-6), (0.0, 2.0**-6), (5000.0, 448.0)],
)
def test_a_block_scale_of_nvfp4_stays_within_the_normal_e4m3_numbers(largest: float, scale: float) -> None:
    """A sixth of the largest value, from 2^-6 to 448: a scale below would lose the bits of its block."""
    blocks = quantize_blocks(torch.full((1, 16), largest), element("nvfp4"), torch.ones(1))

    assert float(blocks.scales) == scale


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(["mxfp8", "mxfp4", "nvfp4"]), st.integers(-30, 30), st.integers(0, 10**6))
def test_the_error_is_at_most_half_a_step_or_what_saturates(name: str, power: int, seed: int) -> None:
    """Relative to a block's largest value: half of e2m1's widest step, or the end of the range."""
    x = torch.randn(4, 64, generator=torch.Generator().manual_seed(seed)) * 2.0**power
    fmt = Format.parse(f"{name}.g{element(name).block}")
    quantized = quantize(x, fmt)
    error = (quantized.dequantized() - x.double()).abs()
    largest = x.view(4, -1, fmt.group or 1).abs().amax(-1).repeat_interleave(fmt.group or 1, dim=1)

    # e2m1: steps of 2 below 6, and 8 is cut to 6; e4m3: 2^-4 of the value, and 512 is cut to 448.
    assert bool((error <= largest * {"mxfp8": 1 / 8, "mxfp4": 1 / 4, "nvfp4": 0.27}[name]).all())


@pytest.mark.parametrize(
    ("text", "rows", "k", "stored"),
    [
        ("mxfp4.g32", 4096, 4096, 4096 * 4096 * 0.53125),
        ("nvfp4.g16", 4096, 4096, 4096 * 4096 * 0.5625 + 4),
        ("mxfp8.g32", 4096, 4096, 4096 * 4096 * 1.03125),
        ("mxfp4.g32.swizzled", 4096, 4096, 4096 * 4096 * 0.53125),
        ("mxfp4.g32.swizzled", 100, 96, 100 * 48 + 128 * 4),
        ("nvfp4.g16.swizzled", 129, 64, 129 * 32 + 256 * 4 + 4),
        ("mxfp4.g32.from_bf16", 16, 64, 16 * 64 * 2),
    ],
)
def test_stored_bytes(text: str, rows: int, k: int, stored: float) -> None:
    """Half or one byte per code, one per block, four per tensor of nvfp4, and the padding of the swizzle."""
    fmt = Format.parse(text)

    assert fmt.storage_bytes(rows, k) == stored
    assert str(fmt) == text
    assert fmt.with_group(64) == fmt


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("mxfp4", "mxfp4 has one scale per 32 values: write mxfp4.g32"),
        ("nvfp4.g32", "nvfp4 has one scale per 16 values: write nvfp4.g16"),
        ("mxfp8.channel", "write mxfp8.g32"),
        ("mxfp4.b32", "write mxfp4.g32"),
        ("int4.g128.swizzled", "int4 has no block scales to swizzle: mxfp8, mxfp4, nvfp4 have"),
        ("mxfp4.g32.zp", "mxfp4 has no zero point"),
        ("mxfp4.g32.actorder", "mxfp4 has no activation order"),
    ],
)
def test_formats_that_do_not_exist_are_refused_in_one_line(text: str, words: str) -> None:
    """The line says what to write instead, or who has what was asked for."""
    with pytest.raises(UsageError, match=words) as refused:
        Format.parse(text)
    assert "\n" not in str(refused.value)


def test_a_shape_that_cannot_be_swizzled_is_refused() -> None:
    """K that its blocks do not divide, and scales of another shape."""
    with pytest.raises(UsageError, match="group size 32 does not divide K = 100"):
        Format.parse("mxfp4.g32.swizzled").storage_bytes(128, 100)
    with pytest.raises(ValueError, match="512 swizzled scales do not fit 129 x 4, which has 1024"):
        unswizzled(torch.zeros(512), 129, 4)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 21))
def test_the_swizzle_is_a_bijection(rows: int, columns: int) -> None:
    """Every scale lies at the byte that cuBLAS documents, once; all other bytes are zero; and back."""
    scales = torch.arange(1, rows * columns + 1, dtype=torch.int32).view(rows, columns)
    flat = swizzled(scales)

    tiles = -(-columns // 4)
    assert flat.numel() == -(-rows // 128) * 128 * tiles * 4
    r, c = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    at = (r // 128 * tiles + c // 4) * 512 + r % 32 * 16 + r % 128 // 32 * 4 + c % 4
    assert torch.equal(flat[at.flatten()].view(rows, columns), scales)
    assert int((flat != 0).sum()) == rows * columns
    assert torch.equal(unswizzled(flat, rows, columns), scales)


def _hostile() -> torch.Tensor:
    """fp32 [64, 256]: normal, huge, tiny, exact midpoints, zeros of both signs, one outlier per block."""
    generator = torch.Generator().manual_seed(11)
    x = torch.randn(64, 256, generator=generator)
    x[8:16] *= 1e20
    x[16:24] *= 1e-20
    x[24:32] = torch.randint(-28, 29, (8, 256), generator=generator) / 4  # 7 and all midpoints of e2m1
    x[32:40] = torch.randint(-480, 481, (8, 256), generator=generator).float()
    x[40:44, ::3] = 0.0
    x[44:48, ::3] = -0.0
    x[48] = 0.0
    x[49:56, ::32] = 6.0 * 2.0**12
    x[56:60] = x[56:60].bfloat16().float()
    return x


@pytest.mark.parametrize("name", ["mxfp8", "mxfp4"])
def test_mx_equals_torchao_bit_for_bit(name: str) -> None:
    """Codes and scales of torchao's reference, FLOOR as the specification has it."""
    module = pytest.importorskip("torchao.prototype.mx_formats.mx_tensor")
    dtype = torch.float8_e4m3fn if name == "mxfp8" else torch.float4_e2m1fn_x2
    x = _hostile()
    theirs_scales, theirs = module.to_mx(x, dtype, 32)
    ours = quantize_blocks(x, element(name))

    codes = ours.codes.view(torch.uint8) if name == "mxfp8" else pack_nibbles(ours.codes)
    assert torch.equal(codes, theirs.view(torch.uint8))
    stored = scale_codes(ours.scales, element(name))
    assert torch.equal(stored, theirs_scales.view(torch.uint8).view(stored.shape))


@pytest.mark.parametrize("rows", [slice(None), slice(0, 8), slice(24, 32), slice(49, 56)])
def test_nvfp4_equals_torchao_bit_for_bit(rows: slice) -> None:
    """Codes, block scales and the tensor scale; and torchao's blocked layout is our swizzle."""
    module = pytest.importorskip("torchao.prototype.mx_formats.nvfp4_tensor")
    utils = pytest.importorskip("torchao.prototype.mx_formats.utils")
    x = _hostile()[rows].contiguous()
    tensor_scale = module.per_tensor_amax_to_scale(x.abs().amax())
    theirs_scales, theirs = module.nvfp4_quantize(x, per_tensor_scale=tensor_scale)
    ours = quantize_blocks(x, element("nvfp4"))

    assert ours.tensor_scale is not None
    assert torch.equal(ours.tensor_scale, tensor_scale.reshape(1))
    assert torch.equal(pack_nibbles(ours.codes), theirs)
    stored = scale_codes(ours.scales, element("nvfp4"))
    assert torch.equal(stored, theirs_scales.view(torch.uint8))
    assert torch.equal(swizzled(stored), utils.to_blocked(stored))
