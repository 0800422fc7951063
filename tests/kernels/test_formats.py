"""Bits, bytes and the stable text of formats, schemes and cases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantroof.errors import UsageError
from quantroof.kernels.cases import Case
from quantroof.kernels.formats import ELEMENTS, Format
from quantroof.kernels.schemes import SCHEMES

BITS = {
    "fp32": 32.0,
    "bf16": 16.0,
    "int4.g128": 4.125,  # 4 + 16/128
    "int4.g128.zp": 4.15625,  # ... + 4/128
    "nf4.g64": 4.5,  # 4 + an fp32 absmax per 64 (bitsandbytes)
    "int4.g32": 4.5,
}


@pytest.mark.parametrize(("text", "bits"), BITS.items())
def test_bits_per_weight_include_scales_and_zero_points(text: str, bits: float) -> None:
    """Average bits per weight are what checkpoints of the format store."""
    assert Format.parse(text).bits_per_element(4096, 4096) == bits


def test_channel_scales_add_one_fp32_per_row() -> None:
    """An int8 weight [N, K] with channel scales stores N K + 4 N bytes."""
    assert Format.parse("int8.channel").storage_bytes(512, 1024) == 512 * 1024 + 4 * 512


def test_an_activation_order_adds_one_index_per_column() -> None:
    """A weight [N, K] with an order stores 4 K bytes more, whatever N is: an int32 for each column."""
    plain, ordered = (Format.parse(f"int4.g128{end}") for end in ("", ".actorder"))

    assert ordered.storage_bytes(512, 4096) - plain.storage_bytes(512, 4096) == 4 * 4096


def test_activations_quantized_inside_the_call_arrive_in_their_source_format() -> None:
    """int8.token.from_bf16 crosses the bus as bf16, without scales, and multiplies as int8."""
    fmt = Format.parse("int8.token.from_bf16")

    assert fmt.storage_bytes(16, 4096) == 16 * 4096 * 2
    assert fmt.element.name == "int8"


@given(
    element=st.sampled_from([e for e in ELEMENTS if ELEMENTS[e].kind == "int"]),
    group=st.sampled_from([32, 64, 128]),
    zero_point=st.booleans(),
)
def test_format_text_reads_back(element: str, group: int, zero_point: bool) -> None:
    """parse inverts str."""
    fmt = Format(ELEMENTS[element], "group", group, zero_point)

    assert Format.parse(str(fmt)) == fmt


@pytest.mark.parametrize(
    "text", ["", "int5", "int4.g0", "int4.row", "bf16.from_x", "int4.g128.zp.zp", "bf16 "]
)
def test_text_that_is_not_a_format_is_refused(text: str) -> None:
    """The error names in one line what is not understood."""
    with pytest.raises(UsageError):
        Format.parse(text)


@pytest.mark.parametrize("name", SCHEMES)
@pytest.mark.parametrize("m", [1, 16, 4096])
def test_case_id_reads_back_and_names_its_scheme(name: str, m: int) -> None:
    """A case is its id: parsing gives the same case, with its scheme."""
    case = Case.linear(SCHEMES[name], m, 4096, 14336)

    assert Case.parse(case.id) == case
    assert case.scheme == name


def test_case_ids_never_change_meaning() -> None:
    """Ids are stored in baselines: these are frozen for good."""
    frozen = {
        "gemv/bf16-bf16-bf16/m1-n4096-k4096": Case.linear(SCHEMES["bf16"], 1, 4096, 4096),
        "gemm/int4.g128-bf16-bf16/m16-n28672-k4096": Case.linear(SCHEMES["int4-w4a16"], 16, 28672, 4096),
        "gemm/int8.channel-int8.token.from_bf16-bf16/m64-n4096-k4096": Case.linear(
            SCHEMES["int8-w8a8"], 64, 4096, 4096
        ),
    }

    assert {case.id: case for case in frozen.values()} == frozen


def test_counts_of_an_int4_gemm() -> None:
    """2 M N K operations; packed weights, group scales, activations and output, each once."""
    case = Case.linear(SCHEMES["int4-w4a16"], 16, 4096, 8192)

    assert case.flops == 2 * 16 * 4096 * 8192
    weights = 4096 * 8192 // 2 + 2 * 4096 * 8192 // 128
    assert case.bytes_moved == weights + 2 * 16 * 8192 + 2 * 16 * 4096


@pytest.mark.parametrize(
    ("m", "n", "k", "words"),
    [(0, 8, 8, "M = 0"), (1, -8, 8, "N = -8"), (1, 8, 100, "does not divide K = 100")],
)
def test_impossible_shapes_are_refused(m: int, n: int, k: int, words: str) -> None:
    """A shape that is not positive, or a group size that does not divide K, names the number."""
    with pytest.raises(UsageError, match=words):
        Case.linear(SCHEMES["int4-w4a16"], m, n, k)


@pytest.mark.parametrize(
    ("case_id", "words"),
    [
        ("gemm/int8.channel-int8.token.from_bf16-bf16/m16-n28672-k4096", "int8-w8a8, M 16, 28672x4096"),
        ("gemv/bf16-bf16-bf16/m1-n512-k1024", "bf16, M 1, 512x1024"),
        ("call/softmax/bf16/M=16,N=4096", "softmax-bf16, M=16,N=4096"),
    ],
)
def test_a_case_of_a_layer_has_a_name_for_people(case_id: str, words: str) -> None:
    """Products are named by scheme, M and N x K; others by scheme and sizes."""
    assert Case.parse(case_id).words == words
