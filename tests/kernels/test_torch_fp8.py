"""`_scaled_mm` in all its recipes: what is asked of torch, checked by torch's own rules for CUDA tensors.

No GPU is needed for the rules: torch applies them to fake tensors, which have a device and no memory.
"""

from __future__ import annotations

import pytest
import torch
from packaging.version import Version
from torch._subclasses.fake_tensor import FakeTensorMode

from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.cases import Case
from quantroof.kernels.formats import Format
from quantroof.kernels.kernel import Skip
from quantroof.kernels.linear.torch_fp8_blocks import (
    multiplier,
    quantized_by_groups,
    scales_of_activation,
    scales_of_weight,
)
from quantroof.kernels.problem import Problem
from quantroof.kernels.quantize import quantize
from quantroof.kernels.reference import reference_of
from quantroof.kernels.schemes import scheme

_CPU = Device(kind="cpu", index=0, name="cpu")
_BLOCKS = ("torch.scaled_mm_blocks", "torch.quant+scaled_mm_blocks")


def _gpu(capability: str) -> Device:
    return Device(kind="sim", index=0, name=capability, compute_capability=capability)


_rules_in_python = pytest.mark.skipif(
    Version(torch.__version__) >= Version("2.14"),
    reason="from torch 2.14 on its rules for scales run on a GPU only",
)


@_rules_in_python
@pytest.mark.parametrize(("m", "n", "k"), [(1, 128, 128), (1, 256, 640), (7, 384, 512), (300, 128, 1152)])
def test_block_scales_satisfy_torchs_rules(m: int, n: int, k: int) -> None:
    """Shapes and strides of both scales are those that the recipe's check for CUDA asks for."""
    xs, ws = scales_of_activation(torch.ones(m, k // 128)), scales_of_weight(torch.ones(n // 128, k // 128))
    y = _product(m, n, k, xs, ws)
    assert y.shape == (m, n)
    assert y.dtype == torch.bfloat16


@_rules_in_python
def test_the_rules_refuse_scales_that_lie_the_other_way() -> None:
    """The rules do refuse: row-major scales of activations are refused."""
    with pytest.raises(RuntimeError, match="stride"):
        _product(7, 128, 512, torch.ones(7, 4), scales_of_weight(torch.ones(1, 4)))


def _product(m: int, n: int, k: int, xs: torch.Tensor, ws: torch.Tensor) -> torch.Tensor:
    """What torch's own checks find for the product on a GPU, with scales of these shapes and strides."""
    multiply = multiplier()
    assert not isinstance(multiply, Skip)
    with FakeTensorMode():
        x, w = (torch.empty(rows, k, dtype=torch.float8_e4m3fn, device="cuda") for rows in (m, n))
        scales = (torch.empty_strided(s.shape, s.stride(), dtype=s.dtype, device="cuda") for s in (xs, ws))
        first, second = scales
        return multiply(x, first, w, second)


def test_what_the_recipe_reads_is_what_was_quantized() -> None:
    """Codes times the scales in the recipe's layout are the dequantized operands."""
    problem = Problem(Case.linear(scheme("fp8-block-w8a8-static"), 5, 256, 640), _CPU)
    ws, xs = scales_of_weight(problem.weight.scale), scales_of_activation(problem.activation.scale)
    assert ws.shape == (8, 2)
    w = problem.weight.codes.double() * ws[:5].T.double().repeat_interleave(128, 0).repeat_interleave(128, 1)
    x = problem.activation.codes.double() * xs.double().repeat_interleave(128, 1)
    torch.testing.assert_close(x @ w.T, reference_of(problem).exact)


def test_quantizing_inside_the_call_is_that_of_the_reference() -> None:
    """The plain torch operations give the codes and scales of the format."""
    problem = Problem(Case.linear(scheme("fp8-block-w8a8"), 3, 128, 384), _CPU)
    codes, scales = quantized_by_groups(problem.arriving)
    assert torch.equal(codes.float(), problem.activation.codes.float())
    assert torch.equal(scales, problem.activation.scale)
    assert scales.stride() == (1, 3)


def test_block_scales_are_shared_by_rows_and_columns() -> None:
    """One scale per 128 x 128 block, the last block short; a block of zeros has scale 1."""
    x = torch.randn(200, 256, generator=torch.Generator().manual_seed(3))
    x[:128, 128:] = 0
    quantized = quantize(x, Format.parse("fp8_e4m3.b128"))
    assert quantized.scale.shape == (2, 2)
    assert float(quantized.scale[0, 0]) == pytest.approx(float(x[:128, :128].abs().max()) / 448)
    assert float(quantized.scale[0, 1]) == 1
    error = (quantized.dequantized(torch.float32) - x).abs()
    assert bool((error <= x.abs() / 16 + quantized.scale.max() * 2**-10).all())


def test_block_formats_count_their_bytes() -> None:
    """128 x 128 blocks cost 32 bits for each 16,384 weights, groups 32 bits for each 128 activations."""
    weight, activation = Format.parse("fp8_e4m3.b128"), Format.parse("fp8_e4m3.g128")
    assert weight.storage_bytes(256, 512) == 256 * 512 + 2 * 4 * 4
    assert weight.storage_bytes(200, 512) == 200 * 512 + 2 * 4 * 4
    assert activation.storage_bytes(3, 512) == 3 * 512 + 3 * 4 * 4
    assert str(weight) == "fp8_e4m3.b128"


@pytest.mark.parametrize("name", _BLOCKS)
@pytest.mark.parametrize("capability", ["8.0", "8.9", "10.0", "12.0"])
def test_block_recipes_are_skipped_off_hopper(name: str, capability: str) -> None:
    """cuBLASLt has them for 9.0 alone, and the Skip names it."""
    kernel = registry.load().kernels[name]
    case = Case.linear(scheme(kernel.schemes[0]), 16, 256, 512)
    skip = kernel.check(case, _gpu(capability))
    assert skip is not None
    assert "9.0 only" in skip.reason
    assert kernel.check(case, _gpu("9.0")) is None


@pytest.mark.parametrize("name", ["torch.scaled_mm", "torch.quant+scaled_mm"])
def test_fast_accumulation_is_a_kernel_of_its_own_on_hopper(name: str) -> None:
    """Triton's fp8 products accumulate fast there, so torch's fast ones are what they compete with."""
    fast = registry.load().kernels[f"{name}_fast"]
    case = Case.linear(scheme(fast.schemes[0]), 64, 256, 512)
    assert fast.made_for(case, _gpu("9.0"))
    assert fast.check(case, _gpu("9.0")) is None
    assert fast.check(case, _gpu("10.0")) is not None
    assert not fast.made_for(case, _CPU)
