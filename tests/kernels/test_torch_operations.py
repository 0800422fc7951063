"""torch's activation quantisation and dequantisation on the CPU, against float64."""

from __future__ import annotations

import pytest
import torch

from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.problem import Problem, tolerance
from quantroof.kernels.registry import Skip
from quantroof.kernels.schemes import scheme

_CPU = Device(kind="cpu", index=0, name="cpu")


@pytest.mark.parametrize(
    ("kernel", "name"),
    [
        *(("torch.act_quant", n) for n in ("int8-quant", "fp8-quant")),
        *(("torch.dequantize", n) for n in ("int8-dequant", "int4-dequant", "nf4-dequant")),
        *(
            ("torch.dequant+linear", n)
            for n in (
                "int8-w8a16",
                "fp8-w8a16",
                "int4-w4a16",
                "int4-zp-w4a16",
                "int4-actorder-w4a16",
                "nf4-w4a16",
            )
        ),
    ],
)
def test_kernel_matches_float64(kernel: str, name: str) -> None:
    """Within the tolerance of the case's formats, and made for the case."""
    case = Case.linear(scheme(name), 3, 64, 256)
    declared = registry.load().kernels[kernel]
    assert declared.made_for(case, _CPU)
    problem = Problem(case, _CPU, seed=3)
    prepared = declared.build(problem)
    assert not isinstance(prepared, Skip)
    values = prepared.values(prepared.call(*prepared.weights)).double()
    assert values.shape == (case.m, case.n)
    error = torch.linalg.norm(values - problem.reference) / torch.linalg.norm(problem.reference)
    assert float(error) <= tolerance(case)


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
