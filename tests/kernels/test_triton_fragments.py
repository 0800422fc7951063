"""The fragment order and its inline assembly, bit by bit."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from quantroof.kernels.linear.device import fragments
from tests.kernels.ptx_model import bf16_pair, pair_of_bf16, run_ptx

_HALF_WORDS = np.arange(65536, dtype=np.uint32)


def _words() -> np.ndarray[tuple[int, ...], np.dtype[np.uint32]]:
    """Every half-word, beside a different one in the upper half."""
    return _HALF_WORDS | (_HALF_WORDS[::-1] << np.uint32(16))


def _expected(
    words: np.ndarray[tuple[int, ...], np.dtype[np.uint32]], register: int
) -> tuple[object, object]:
    """Codes of output register i: nibble i of the low half, nibble i of the high half."""
    return (words >> np.uint32(4 * register)) & 15, (words >> np.uint32(16 + 4 * register)) & 15


def test_lop3_unpacking_gives_code_minus_8_for_every_half_word() -> None:
    """All 65,536 half-words become exactly the eight bf16 values (code - 8)."""
    words = _words()
    registers = run_ptx(fragments._PLAIN.value, {"$4": words})
    for index in range(4):
        for got, code in zip(bf16_pair(registers[f"${index}"]), _expected(words, index), strict=True):
            np.testing.assert_array_equal(np.asarray(code, dtype=np.float32) - 8, got)


def test_scaled_unpacking_rounds_the_product_once() -> None:
    """(code - 8) times a bf16 scale is what one rounding of the exact product gives, a scale a row half."""
    words = _words()
    scales = {5: 0.0123291015625, 6: 1.734375}  # both exact in bf16
    inputs = {f"${i}": pair_of_bf16(*[np.full(words.shape, s)] * 2) for i, s in scales.items()}
    registers = run_ptx(fragments._SCALES.value, {"$4": words, **inputs})
    for index in range(4):
        scale = scales[5 + index % 2]
        want = pair_of_bf16(*[(np.asarray(c, dtype=np.float64) - 8) * scale for c in _expected(words, index)])
        np.testing.assert_array_equal(want & 0x7FFF7FFF, registers[f"${index}"] & 0x7FFF7FFF)
        nonzero = (want & 0x7FFF7FFF) != 0
        np.testing.assert_array_equal(want[nonzero], registers[f"${index}"][nonzero])


@given(st.integers(0, 63), st.integers(0, 63), st.integers(0, 15))
def test_a_weight_lies_where_the_layout_says(row: int, column: int, code: int) -> None:
    """Weight (row, column) is nibble 16 e + 8 j + 4 h of the word of its warp, lane and k-step."""
    codes = torch.zeros(64, 64, dtype=torch.uint8)
    codes[row, column] = code
    words = fragments.pack_4bit(codes).view(torch.int32).flatten().tolist()
    warp, half, group = row // 16, row // 8 % 2, row % 8
    step, pair_half, pair, parity = column // 16, column // 8 % 2, column // 2 % 4, column % 2
    word = words[((warp * 8 + group) * 4 + pair) * 4 + step] & 0xFFFFFFFF
    assert word == code << (16 * parity + 8 * pair_half + 4 * half)
