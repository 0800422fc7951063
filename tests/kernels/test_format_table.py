"""The table of element types against published values."""

from __future__ import annotations

import pytest

from quantroof.errors import UsageError
from quantroof.kernels.formats import ELEMENTS, Format, element, nf4_levels

LARGEST = {
    "fp16": 65504.0, "fp8_e4m3": 448.0, "fp8_e5m2": 57344.0, "int8": 127.0, "int4": 7.0, "mxfp8": 448.0,
    "mxfp4": 6.0, "nvfp4": 6.0, "bf16": (2 - 2**-7) * 2.0**127, "fp32": (2 - 2**-23) * 2.0**127,
    "tf32": (2 - 2**-23) * 2.0**127, "nf4": 1.0, "none": 0.0,
}  # fmt: skip
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023,
    1.0,
)  # fmt: skip
"""bitsandbytes' table of the levels."""


BITS = {
    "fp32": 32, "tf32": 32, "fp16": 16, "bf16": 16, "fp8_e4m3": 8, "fp8_e5m2": 8, "int8": 8, "int4": 4,
    "nf4": 4, "mxfp8": 8, "mxfp4": 4, "nvfp4": 4, "none": 0,
}  # fmt: skip
STORED = {  # rows, K, and the bytes by hand: packed codes, scales, zero points, order
    "int8.tensor": (4, 8, 32 + 4),
    "int8.channel": (4, 8, 32 + 4 * 4),
    "int8.token": (4, 8, 32 + 4 * 4),
    "int8.token.from_bf16": (3, 5, 30),
    "int4.channel": (3, 3, 5 + 3 * 4),  # 36 bits of codes fill five bytes
    "int4.g1": (2, 2, 2 + 4 * 2),
    "int4.g32": (1, 32, 16 + 2),
    "int4.g32.zp": (1, 32, 16 + 3),  # 16 + 4 bits of scale and zero point fill three bytes
    "int4.g32.zp.actorder": (2, 64, 64 + 10 + 64 * 4),
    "int4.g32.actorder": (1, 32, 16 + 2 + 32 * 4),
    "nf4.g64": (2, 128, 128 + 4 * 4),
    "nf4.channel": (2, 128, 128 + 2 * 4),
    "fp8_e4m3.g128": (2, 256, 512 + 4 * 4),
    "fp8_e4m3.b128": (129, 256, 129 * 256 + 2 * 2 * 4),
    "nvfp4.g16": (1, 16, 8 + 5),
    "none": (7, 9, 0),
}


@pytest.mark.parametrize("name", BITS)
def test_the_width_is_the_formats_own(name: str) -> None:
    """Every element type, and how many bits one value of it takes in memory."""
    assert ELEMENTS[name].bits == BITS[name]
    assert len(ELEMENTS) == len(BITS) == len(LARGEST)


@pytest.mark.parametrize("text", STORED)
def test_stored_bytes_are_counted_by_hand(text: str) -> None:
    """Codes fill whole bytes, and so do scales, zero points and the order together."""
    rows, k, stored = STORED[text]
    fmt = Format.parse(text)

    assert fmt.storage_bytes(rows, k) == stored
    assert fmt.bits_per_element(rows, k) == stored * 8 / (rows * k)
    assert str(fmt) == text


def test_values_cross_the_bus_as_they_arrive() -> None:
    """A call that quantizes reads bf16; one whose activations arrive quantized reads int8."""
    assert Format.parse("int8.token.from_bf16").traffic_element.name == "bf16"
    assert Format.parse("int8.token").traffic_element.name == "int8"


def test_a_tensor_without_rows_stores_nothing() -> None:
    """Not even the tensor scale of nvfp4."""
    assert Format.parse("nvfp4.g16").storage_bytes(0, 16) == 0


@pytest.mark.parametrize(
    ("text", "scales"),
    [("bf16", 0), ("int8.tensor", 1), ("int8.channel", 5), ("int8.token", 5), ("fp8_e4m3.b4", 4),
     ("int4.g4", 10), ("mxfp4.g32.swizzled", 512)],
)  # fmt: skip
def test_scales_are_counted_by_granularity(text: str, scales: int) -> None:
    """Of five rows: none, one, one each, two blocks of rows by two, two groups each, padded to 128 x 4."""
    assert Format.parse(text).scale_count(5, 64 if "mx" in text else 8) == scales


@pytest.mark.parametrize(
    ("text", "regrouped"),
    [
        ("int4.g128.zp", "int4.g64.zp"),
        ("int8.channel", "int8.channel"),
        ("bf16", "bf16"),
        ("fp8_e4m3.b128", "fp8_e4m3.b128"),
        ("nvfp4.g16", "nvfp4.g16"),
    ],
)
def test_only_groups_of_free_size_get_another(text: str, regrouped: str) -> None:
    """Channels have none, and blocks and block-scaled elements have one that is fixed."""
    assert str(Format.parse(text).with_group(64)) == regrouped


@pytest.mark.parametrize(
    "text", ["bf16.zp", "fp8_e4m3.channel.zp", "int8.zp", "int8.channel.actorder", "fp8_e4m3.b64.actorder"]
)
def test_zero_points_and_orders_need_what_they_belong_to(text: str) -> None:
    """A zero point needs an integer and a scale, an order needs groups."""
    with pytest.raises(UsageError, match=r"zero point|needs groups"):
        Format.parse(text)


@pytest.mark.parametrize("name", ELEMENTS)
def test_two_elements_are_e2m1(name: str) -> None:
    """mxfp4 and nvfp4: 4 bits with block scales; int4 and nf4 have none, mxfp8 is wider."""
    assert ELEMENTS[name].is_e2m1 is (name in ("mxfp4", "nvfp4"))


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_value_is_the_formats_own(name: str) -> None:
    """IEEE 754, OCP and two's complement without its lowest code; tf32 is stored as fp32."""
    assert ELEMENTS[name].max_value == LARGEST[name]


def test_the_levels_of_nf4_are_the_published_ones() -> None:
    """All 16, to the precision in which bitsandbytes stores them."""
    assert nf4_levels() == pytest.approx(NF4, abs=2e-7)


def test_a_plain_format_has_no_scale_and_no_order() -> None:
    """bf16 is its elements alone; what an int4 checkpoint adds must be asked for."""
    plain = Format(element("bf16"))

    assert (plain.scale_bits, plain.act_order, plain.zero_point, plain.swizzled) == (0, False, False, False)
    assert plain.storage_bytes(3, 5) == 30
