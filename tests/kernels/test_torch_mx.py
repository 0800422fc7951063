"""Block-scaled products: what torch's recipes are given, the emulation's roof, and who refuses what."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from packaging.version import Version
from torch._subclasses.fake_tensor import FakeTensorMode

from quantroof.hwprofiles.types import Device
from quantroof.kernels import registry
from quantroof.kernels.block_scales import e2m1_values, e8m0_values, unswizzled
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Prepared, Skip
from quantroof.kernels.linear.torch_mx import multiplier, operand
from quantroof.kernels.packing import unpack_nibbles
from quantroof.kernels.problem import Problem
from quantroof.kernels.schemes import scheme

_CPU = Device(kind="cpu", index=0, name="cpu")
_NATIVE = {"mxfp8-w8a8": "mx", "mxfp4-w4a4": "mx", "nvfp4-w4a4": "nv"}


def _gpu(capability: str) -> Device:
    return Device(kind="sim", index=0, name=capability, compute_capability=capability)


@pytest.mark.parametrize("name", _NATIVE)
def test_what_the_recipe_reads_is_what_was_quantized(name: str) -> None:
    """Packed codes times swizzled scales, decoded from torch's types, are the dequantized weights."""
    weight = Problem(Case.linear(scheme(name), 5, 160, 320), _CPU).weight
    element = weight.format.element
    codes, scales = operand(weight.codes, weight.scale, element)

    values = e2m1_values(unpack_nibbles(codes.view(torch.uint8))) if element.is_e2m1 else codes.float()
    steps = unswizzled(scales.view(torch.uint8), *weight.scale.shape).contiguous()
    step = e8m0_values(steps) if element.scale == "e8m0" else steps.view(torch.float8_e4m3fn).float()
    decoded = (values.view(*step.shape, -1) * step[..., None]).view(160, 320).double()
    if weight.tensor_scale is not None:
        decoded = decoded * weight.tensor_scale.double()
    torch.testing.assert_close(decoded, weight.dequantized(), rtol=1e-7, atol=0)


@pytest.mark.skipif(
    Version(torch.__version__) >= Version("2.14"), reason="torch 2.14's rules for scales run on a GPU only"
)
# torch 2.13's rule for MXFP4 counts its scales by packed bytes: both counts pad to the same at K = 64.
@pytest.mark.parametrize(("name", "k"), [("mxfp8-w8a8", 320), ("nvfp4-w4a4", 320), ("mxfp4-w4a4", 64)])
@pytest.mark.parametrize("m", [1, 17, 130])
def test_torchs_rules_for_a_gpu_take_the_operands(name: str, k: int, m: int) -> None:
    """Types, shapes, padding and recipes pass torch's own checks for CUDA tensors; the output is bf16."""
    problem = Problem(Case.linear(scheme(name), m, 160, k), _CPU)
    multiply = multiplier(problem.case.compute)
    assert not isinstance(multiply, Skip)
    sides = []
    for side in (problem.activation, problem.weight):
        own = () if side.tensor_scale is None else (side.tensor_scale,)
        sides.append((*operand(side.codes, side.scale, side.format.element), *own))
    with FakeTensorMode():
        x, w = (tuple(torch.empty(t.shape, dtype=t.dtype, device="cuda") for t in side) for side in sides)
        y = multiply(x, w)
    assert (tuple(y.shape), y.dtype) == ((m, 160), torch.bfloat16)


def test_a_torch_without_the_recipes_takes_its_older_product(monkeypatch: pytest.MonkeyPatch) -> None:
    """`_scaled_mm` reads the recipe off the types; what it cannot do is one line."""
    monkeypatch.delattr(torch.nn.functional, "scaled_mm")
    asked: dict[str, Any] = {}

    def older(x: torch.Tensor, w: torch.Tensor, **given: Any) -> torch.Tensor:
        asked.update(given)
        return torch.ones(x.shape[0], w.shape[1], dtype=torch.bfloat16)

    monkeypatch.setattr(torch, "_scaled_mm", older)
    problem = Problem(Case.linear(scheme("nvfp4-w4a4"), 2, 32, 64), _CPU)
    weight = operand(problem.weight.codes, problem.weight.scale, problem.case.compute)[1]
    multiply = multiplier(problem.case.compute)
    assert not isinstance(multiply, Skip)
    codes, two = torch.ones(2, 64), torch.tensor([2.0])
    y = multiply((codes, weight, two), (codes, weight, two))
    assert y.tolist() == [[4.0, 4.0], [4.0, 4.0]]
    assert asked["out_dtype"] == torch.bfloat16
    refused = multiplier(scheme("mxfp4-w4a4").compute)
    assert isinstance(refused, Skip)
    assert "has no MXFP4 product" in refused.reason


def test_a_torch_without_the_types_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line with its version."""
    monkeypatch.delattr(torch, "float4_e2m1fn_x2")
    refused = multiplier(scheme("nvfp4-w4a4").compute)
    assert isinstance(refused, Skip)
    assert refused.reason == f"torch {torch.__version__} lacks the types of block-scaled formats"


@pytest.mark.parametrize(("name", "which"), _NATIVE.items())
def test_native_products_are_refused_before_blackwell(name: str, which: str) -> None:
    """The reason names what is needed and what is here; 10.0 is not refused."""
    kernel = registry.load().kernels[f"torch.quant+scaled_mm_{which}"]
    case = Case.linear(scheme(name), 16, 256, 512)
    skip = kernel.check(case, _gpu("9.0"))
    assert skip is not None
    assert skip.reason == "block-scaled matrix instructions need compute capability 10.0, this one has 9.0"
    assert kernel.check(case, _gpu("10.0")) is None
    assert not kernel.made_for(case, _CPU)


@pytest.mark.parametrize("name", ["mxfp4-w4a4", "nvfp4-w4a16", "mxfp8-w8a8"])
def test_swizzled_weights_are_a_case_of_their_own_with_the_same_result(name: str) -> None:
    """Their scheme says so, their bytes include the padding, and the emulation reads them."""
    plain = Case.linear(scheme(name), 3, 96, 256)
    case = Case.parse(plain.id.replace(f"{plain.weight}-", f"{plain.weight}.swizzled-"))
    assert case.scheme == f"{name}-swizzled"
    assert case.weight_bytes > plain.weight_bytes
    outputs = []
    for one in (plain, case):
        problem = Problem(one, _CPU)
        (kernel,) = (k for k in registry.load().kernels.values() if k.made_for(one, _CPU))
        prepared = kernel.build(problem)
        assert isinstance(prepared, Prepared)
        outputs.append(prepared.call(*prepared.weights))
    assert torch.equal(*outputs)
