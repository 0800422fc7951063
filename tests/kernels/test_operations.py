"""Activation quantization and dequantization as cases: ids, operations and bytes."""

from __future__ import annotations

import pytest

from quantroof.errors import UsageError
from quantroof.kernels.cases import Case
from quantroof.kernels.schemes import scheme


@pytest.mark.parametrize(
    ("name", "identity", "flops", "moved"),
    [
        ("int8-quant", "act_quant/none-bf16-int8.token/m16-n512-k512", 2 * 16 * 512, 16 * 512 * 3 + 16 * 4),
        ("int4-dequant", "dequantize/int4.g128-none-bf16/m256-n512-k512", 256 * 512, 256 * (256 + 8 + 1024)),
    ],
)
def test_other_operations_have_stable_ids_and_compulsory_bytes(
    name: str, identity: str, flops: int, moved: int
) -> None:
    """Their id reads back, and each tensor is counted once."""
    case = Case.linear(scheme(name), 16, 256, 512)
    assert (case.id, case.flops, case.bytes_moved) == (identity, flops, moved)
    assert Case.parse(case.id) == case
    assert case.scheme == name


def test_an_operation_that_keeps_its_shape_refuses_another() -> None:
    """act_quant writes what it reads: N is K."""
    with pytest.raises(UsageError, match="keeps its shape"):
        Case.parse("act_quant/none-bf16-int8.token/m1-n64-k128")
