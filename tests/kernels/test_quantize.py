"""Quantization: bounds that hold for every input, the published NF4 levels, and what is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantroof.errors import UsageError
from quantroof.kernels.formats import Format, nf4_levels
from quantroof.kernels.packing import pack_nibbles, unpack_nibbles
from quantroof.kernels.quantize import quantize

_INTEGER = (
    "int8.tensor",
    "int8.channel",
    "int8.token",
    "int4.g32",
    "int4.g64",
    "int4.g128",
    "int4.g32.actorder",
)
_ZERO_POINT = ("int4.g32.zp", "int4.g128.zp", "int8.channel.zp", "int4.g64.zp.actorder")
_FLOAT = ("fp8_e4m3.tensor", "fp8_e4m3.channel", "fp8_e4m3.g64", "fp8_e4m3.b32", "fp8_e5m2.token")
_CODEBOOK = ("nf4.g32", "nf4.g64", "nf4.channel")

# bitsandbytes 0.45, functional.py, the NF4 table as printed there.
_BITSANDBYTES_NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023,
    1.0,
)  # fmt: skip


@st.composite
def tensors(draw: st.DrawFn) -> torch.Tensor:
    """fp32 [1..4, 128 or 256] of one magnitude, 1e-20 to 1e20, some rows zero or all of one sign."""
    rows, k = draw(st.integers(1, 4)), draw(st.sampled_from((128, 256)))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    x = torch.randn(rows, k, generator=generator) * 10.0 ** draw(st.integers(-20, 20))
    if draw(st.booleans()):
        x[0] = 0
    if draw(st.booleans()):
        x += x.abs().max()
    return x


def _steps(x: torch.Tensor, text: str) -> tuple[torch.Tensor, torch.Tensor]:
    """(|x - x'|, the step of each element's group), both fp64 [rows, K]."""
    quantized = quantize(x, Format.parse(text))
    error = (quantized.dequantized() - x.double()).abs()
    scale = quantized.scale.double().expand(x.shape[0], -1)
    steps = scale.repeat_interleave(x.shape[1] // scale.shape[1], dim=1)
    if quantized.order is not None:
        error = error[:, quantized.order]
    return error, steps


@pytest.mark.parametrize("text", _INTEGER)
@settings(max_examples=25, deadline=None)
@given(x=tensors())
def test_the_error_of_an_integer_format_is_at_most_half_a_step(text: str, x: torch.Tensor) -> None:
    """By rounding; a 16-bit scale may leave the largest value outside the range by its own rounding."""
    error, steps = _steps(x, text)
    rounded_scale = 2.0**-9 * Format.parse(text).element.max_value if ".g" in text else 0.0
    assert bool((error <= steps * (0.5 + rounded_scale + 1e-5)).all())


@pytest.mark.parametrize("text", _ZERO_POINT)
@settings(max_examples=25, deadline=None)
@given(x=tensors())
def test_the_error_with_a_zero_point_is_at_most_a_step(text: str, x: torch.Tensor) -> None:
    """The value and the zero point are each rounded, half a step each; zero itself is exact."""
    error, steps = _steps(x, text)
    codes = 2 ** Format.parse(text).element.bits - 1
    rounded_scale = 2.0**-8 * codes if ".g" in text else 0.0
    assert bool((error <= steps * (1.0 + rounded_scale + 1e-4)).all())
    quantized = quantize(x, Format.parse(text))
    assert bool((quantized.dequantized()[x == 0] == 0).all())


@pytest.mark.parametrize("text", _FLOAT)
@settings(max_examples=25, deadline=None)
@given(x=tensors())
def test_the_error_of_fp8_is_half_its_relative_step(text: str, x: torch.Tensor) -> None:
    """Relative to the value where it is normal, to the smallest subnormal step below."""
    element = Format.parse(text).element
    error, steps = _steps(x, text)
    # OCP 8-bit specification: the step relative to a normal value, and that between subnormal ones
    relative, smallest = {"fp8_e4m3": (2.0**-3, 2.0**-9), "fp8_e5m2": (2.0**-2, 2.0**-16)}[element.name]
    saturated = 2.0**-8 * x.double().abs() if ".g" in text else 0.0  # a 16-bit scale may round down
    assert bool((error <= x.double().abs() * (relative / 2 + 1e-6) + steps * smallest + saturated).all())


@pytest.mark.parametrize("text", _CODEBOOK)
@settings(max_examples=25, deadline=None)
@given(x=tensors())
def test_nf4_picks_the_nearest_level(text: str, x: torch.Tensor) -> None:
    """No other level of the group is nearer than the one chosen."""
    error, steps = _steps(x, text)
    levels = torch.tensor(nf4_levels(), dtype=torch.float64)
    nearest = (x.double()[..., None] - levels * steps[..., None]).abs().amin(dim=-1)
    assert bool((error <= nearest + steps * 1e-6).all())


@pytest.mark.parametrize("text", [*_INTEGER, *_CODEBOOK, "fp8_e4m3.tensor"])
@settings(max_examples=15, deadline=None)
@given(x=tensors())
def test_quantizing_again_changes_nothing(text: str, x: torch.Tensor) -> None:
    """What was representable stays as it is, when every group keeps its largest code."""
    fmt = Format.parse(text.removesuffix(".actorder"))
    once = quantize(x, fmt)
    values = once.dequantized(torch.float32)
    again = quantize(values, fmt)
    error = (again.dequantized() - values.double()).abs().max()
    assert float(error) <= float(values.abs().max()) * 2.0**-8


def test_nf4_levels_are_those_of_bitsandbytes() -> None:
    """The published construction gives the published table to fp32's precision."""
    assert nf4_levels() == pytest.approx(_BITSANDBYTES_NF4, abs=2e-7)


def test_activation_order_groups_columns_of_like_energy() -> None:
    """With columns of very different size, sorted groups lose much less than groups of neighbors."""
    x = torch.randn(64, 256, generator=torch.Generator().manual_seed(1))
    large = torch.arange(256) % 8 == 0
    x[:, large] *= 30
    plain, ordered = (quantize(x, Format.parse(f"int4.g32{end}")) for end in ("", ".actorder"))
    errors = [(q.dequantized() - x)[:, ~large].norm() for q in (plain, ordered)]
    assert errors[1] < 0.2 * errors[0]
    assert ordered.order is not None
    assert sorted(ordered.order.tolist()) == list(range(256))
    energy = x.square().sum(dim=0)[ordered.order]
    assert (energy[1:] <= energy[:-1]).all(), "the columns of most energy come first"


@pytest.mark.parametrize(("text", "rounded"), [("int4.g128", True), ("int8.channel", False)])
def test_codes_are_made_for_the_scales_that_ship(text: str, rounded: bool) -> None:
    """16 bits of a scale are stored in a checkpoint: what the codes were divided by must be those bits."""
    scale = quantize(
        torch.randn(8, 256, generator=torch.Generator().manual_seed(2)), Format.parse(text)
    ).scale

    assert torch.equal(scale.bfloat16().float(), scale) is rounded


def test_a_group_of_one_sign_has_its_zero_point_at_an_end() -> None:
    """Zero stays a code, so that the smallest of a positive group is not the first."""
    x = torch.linspace(1, 2, 128)[None]
    quantized = quantize(torch.cat([x, -x]), Format.parse("int4.g128.zp"))

    assert quantized.zeros is not None
    assert quantized.zeros.flatten().tolist() == [0, 15]


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("text", ["bf16", "int8.channel", "int4.g32.zp", "nf4.g64", "fp8_e4m3.tensor"])
def test_nan_and_infinity_are_refused(text: str, bad: float) -> None:
    """They have no code in any format; without an error they would become large finite numbers."""
    x = torch.ones(2, 64)
    x[1, 3] = bad
    with pytest.raises(ValueError, match="NaN or infinity"):
        quantize(x, Format.parse(text))


def test_a_plain_float_format_saturates() -> None:
    """A finite value beyond the range becomes the largest finite one, never infinity."""
    codes = quantize(torch.tensor([[1e30, -1e30]]), Format.parse("fp16")).codes
    assert codes.tolist() == [[65504.0, -65504.0]]


@given(st.integers(1, 5), st.integers(1, 40), st.integers(0, 1000))
def test_packing_nibbles_round_trips(rows: int, pairs: int, seed: int) -> None:
    """Unpacking gives back the codes, at half the bytes."""
    codes = torch.randint(0, 16, (rows, 2 * pairs), generator=torch.Generator().manual_seed(seed))
    packed = pack_nibbles(codes)
    assert packed.numel() == rows * pairs
    assert torch.equal(unpack_nibbles(packed).long(), codes)


def test_packing_refuses_what_does_not_fit() -> None:
    """An odd K and a code above 15 are errors."""
    with pytest.raises(ValueError, match="odd"):
        pack_nibbles(torch.zeros(1, 3))
    with pytest.raises(ValueError, match=r"0\.\.15"):
        pack_nibbles(torch.tensor([[16, 0]]))


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("int4.g128", 4.125),
        ("int4.g128.zp", 4 + 20 / 128),
        ("int4.g32.zp", 4 + 20 / 32),
        ("int4.g128.actorder", 4.125 + 32 / 4096),
        ("nf4.g64", 4.5),
        ("int8.channel", 8 + 32 / 4096),
        ("fp8_e5m2.tensor", 8 + 32 / 4096**2),
        ("bf16", 16.0),
    ],
)
def test_bits_per_weight_include_scales_zeros_and_order(text: str, bits: float) -> None:
    """At [4096, 4096]; the text of the format reads back to the same format."""
    fmt = Format.parse(text)
    assert fmt.bits_per_element(4096, 4096) == pytest.approx(bits)
    assert Format.parse(str(fmt)) == fmt


@pytest.mark.parametrize(
    "text", ["fp16.zp", "nf4.g64.zp", "fp8_e4m3.channel.zp", "int4.zp", "int8.channel.actorder"]
)
def test_formats_that_make_no_sense_are_refused(text: str) -> None:
    """A zero point needs an integer and a scale, an order needs groups."""
    with pytest.raises(UsageError):
        Format.parse(text)
