"""The table of element types against published values."""

from __future__ import annotations

import pytest

from quantroof.kernels.formats import ELEMENTS, Format, element, nf4_levels

LARGEST = {
    "fp16": 65504.0, "fp8_e4m3": 448.0, "fp8_e5m2": 57344.0, "int8": 127.0, "int4": 7.0, "mxfp8": 448.0,
    "mxfp4": 6.0, "nvfp4": 6.0, "bf16": (2 - 2**-7) * 2.0**127, "fp32": (2 - 2**-23) * 2.0**127,
}  # fmt: skip
NF4 = (
    -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941, 0.7229568362236023,
    1.0,
)  # fmt: skip
"""bitsandbytes' table of the levels."""


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_value_is_the_formats_own(name: str) -> None:
    """IEEE 754, OCP and two's complement without its lowest code."""
    assert ELEMENTS[name].max_value == LARGEST[name]


def test_the_levels_of_nf4_are_the_published_ones() -> None:
    """All 16, to the precision in which bitsandbytes stores them."""
    assert nf4_levels() == pytest.approx(NF4, abs=2e-7)


def test_a_plain_format_has_no_scale_and_no_order() -> None:
    """bf16 is its elements alone; what an int4 checkpoint adds must be asked for."""
    plain = Format(element("bf16"))

    assert (plain.scale_bits, plain.act_order, plain.zero_point, plain.swizzled) == (0, False, False, False)
    assert plain.storage_bytes(3, 5) == 30
