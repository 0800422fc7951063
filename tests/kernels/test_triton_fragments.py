"""The fragment order and its inline assembly, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantroof.kernels.formats import e2m1_levels, nf4_levels
from quantroof.kernels.linear.device import assembly, fragments, nf4_bits
from quantroof.kernels.linear.device.fp4_bits import scatter_bits
from tests.kernels.ptx_model import Register, bf16_pair, pair_of_bf16, run_ptx

_HALF_WORDS = np.arange(65536, dtype=np.uint32)
# Every half-word, beside a different one in the upper half.
_WORDS = _HALF_WORDS | (_HALF_WORDS[::-1] << np.uint32(16))
_SCALES = (0.0123291015625, 1.734375)  # of the row halves; both exact in bf16
_ZEROS = (3, 15)


def _both(value: float) -> Register:
    full = np.full(_WORDS.shape, value)
    return pair_of_bf16(full, full)


def _nibble(position: int) -> NDArray[np.float64]:
    return np.asarray(_WORDS >> np.uint32(4 * position) & np.uint32(15), dtype=np.float64)


def _byte(position: int) -> NDArray[np.uint8]:
    return np.asarray(_WORDS >> np.uint32(8 * position) & np.uint32(255), dtype=np.uint8)


def _check(got: Register, low: NDArray[Any], high: NDArray[Any]) -> None:
    """The register holds these two values rounded to bf16; the sign of zero does not matter."""
    for value, want in zip(bf16_pair(got), bf16_pair(pair_of_bf16(low, high)), strict=True):
        np.testing.assert_array_equal(value, want)


@pytest.mark.parametrize("zeros", [False, True])
@pytest.mark.parametrize("scales", [False, True])
def test_int4_assembly_gives_every_code(zeros: bool, scales: bool) -> None:
    """All 65,536 half-words become (code - zero), or times the scale of their row half, rounded once."""
    code = {
        (False, False): assembly.INT4,
        (False, True): assembly.INT4_SCALED,
        (True, False): assembly.INT4_ZEROS,
        (True, True): assembly.INT4_ZEROS_SCALED,
    }[zeros, scales]
    given_ = [128 + z for z in _ZEROS] if zeros else []
    operands = [*given_, *(_SCALES if scales else ())]
    inputs = {f"${5 + i}": _both(v) for i, v in enumerate(operands)}
    registers = run_ptx(code.value, {"$4": _WORDS, **inputs})
    for index in range(4):
        zero = _ZEROS[index % 2] if zeros else 8
        scale = _SCALES[index % 2] if scales else 1.0
        _check(registers[f"${index}"], (_nibble(index) - zero) * scale, (_nibble(index + 4) - zero) * scale)


def test_nf4_assembly_looks_every_level_up() -> None:
    """All 65,536 half-words of nibbles become their stored levels times the scale of their row half."""
    inputs = {f"${5 + i}": _both(scale * 2.0**-nf4_bits.EXPONENT) for i, scale in enumerate(_SCALES)}
    registers = run_ptx(assembly.NF4_SCALED.value, {"$4": _WORDS, **inputs})
    levels = np.array(nf4_bits.LEVELS)
    for index in range(4):
        low, high = (levels[_nibble(2 * index + e).astype(int)] * _SCALES[index % 2] for e in range(2))
        _check(registers[f"${index}"], low, high)


def test_stored_nf4_levels_are_closer_than_bf16_ones() -> None:
    """Times UNIT they are NF4's within 0.18 %, where bf16 is within 0.32 %; zero and the order are kept."""
    levels = torch.tensor(nf4_levels(), dtype=torch.float64)
    stored = torch.tensor([nf4_bits.LEVELS[nibble] for nibble in nf4_bits.NIBBLES], dtype=torch.float64)
    nonzero = levels != 0
    assert stored[~nonzero].tolist() == [0.0]
    errors = [
        (found / levels - 1)[nonzero].abs().max() for found in (stored * nf4_bits.UNIT, levels.bfloat16())
    ]
    assert errors[0] < 0.0018 < 0.0031 < errors[1] < 0.0032
    assert stored.tolist() == sorted(stored.tolist())


def test_nf4_unit_is_the_one_with_the_smallest_error() -> None:
    """No unit on a grid of 1,500 in the interval where levels of equal high bytes come in twos errs less."""
    levels = np.array([level for level in nf4_levels() if level])
    units = np.append(np.linspace(0.16093, 0.17406, 1500), nf4_bits.UNIT)
    value = np.abs(levels)[:, None] / units
    step = 2.0 ** (np.maximum(np.floor(np.log2(value)), -1) - 7)  # bf16 times 2^125: no step below 2^-8
    errors = np.abs(np.round(value / step) * step / value - 1).max(axis=0)
    assert errors[-1] <= errors[:-1].min()


def test_fp4_assembly_gives_every_code() -> None:
    """All 65,536 half-words of codes, their bits moved, become levels times 2^-126 times the row's scale."""
    packed = scatter_bits(torch.from_numpy(_WORDS.view(np.uint8).copy())).numpy().view(np.uint32)
    factors = [scale * 2.0**126 for scale in _SCALES]
    inputs = {f"${5 + i}": _both(factor) for i, factor in enumerate(factors)}
    registers = run_ptx(assembly.FP4_SCALED.value, {"$4": packed, **inputs})
    levels = np.array(e2m1_levels())
    for index in range(4):
        low, high = (levels[_nibble(index + 4 * e).astype(int)] * _SCALES[index % 2] for e in range(2))
        _check(registers[f"${index}"], low, high)


def test_int8_assembly_gives_every_byte() -> None:
    """Every byte in every place of a word becomes its two's complement value."""
    registers = run_ptx(assembly.INT8.value, {"$2": _WORDS})
    for index in range(2):
        _check(registers[f"${index}"], _byte(index).view(np.int8), _byte(index + 2).view(np.int8))


def test_fp8_assembly_gives_every_number() -> None:
    """Every byte but the two NaNs becomes the value that torch reads in it, subnormals and signs included."""
    table = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).double().numpy()
    registers = run_ptx(assembly.FP8_E4M3.value, {"$2": _WORDS})
    for index in range(2):
        low, high = table[_byte(index)], table[_byte(index + 2)]
        numbers = ~(np.isnan(low) | np.isnan(high))
        _check(registers[f"${index}"][numbers], low[numbers], high[numbers])


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 63), st.integers(0, 63), st.integers(1, 15), st.booleans(), st.booleans())
def test_a_4_bit_weight_lies_where_its_thread_reads_it(
    row: int, column: int, code: int, wide: bool, pairs: bool
) -> None:
    """Row 16 w + 8 h + g is warp w's, lanes 4 g + t; the column decides t, the word and the nibble."""
    codes = torch.zeros(64, 64, dtype=torch.uint8)
    codes[row, column] = code
    words = fragments.pack_4bit(codes, wide=wide, pairs=pairs).view(torch.int32).flatten().tolist()
    warp, half, group = row // 16, row // 8 % 2, row % 8
    if wide:
        thread, step = column // 8 % 4, 2 * (column // 32) + column // 4 % 2
        pair_half, parity = column // 2 % 2, column % 2
    else:
        thread, step = column // 2 % 4, column // 16
        pair_half, parity = column // 8 % 2, column % 2
    nibble = 4 * pair_half + 2 * half + parity if pairs else 4 * parity + 2 * pair_half + half
    assert words[((warp * 8 + group) * 4 + thread) * 4 + step] & 0xFFFFFFFF == code << (4 * nibble)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 63), st.integers(0, 31), st.booleans())
def test_an_8_bit_weight_lies_where_its_thread_reads_it(row: int, column: int, wide: bool) -> None:
    """As for 4 bits, with two k-steps of two words per thread."""
    codes = torch.zeros(64, 32, dtype=torch.int8)
    codes[row, column] = -1
    found = fragments.pack_8bit(codes, wide=wide).flatten().nonzero().item()
    warp, half, group = row // 16, row // 8 % 2, row % 8
    step, parity = column // 16, column % 2
    thread, pair_half = (column // 4 % 4, column // 2 % 2) if wide else (column // 2 % 4, column // 8 % 2)
    word = (((warp * 8 + group) * 4 + thread) * 2 + step) * 2 + pair_half
    assert found == 4 * word + 2 * parity + half
