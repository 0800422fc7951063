"""Ceilings of block-scaled elements: where they are tried, what they multiply, who refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from quantroof.bench.ceilings.measure import _library_shapes
from quantroof.hwprofiles.types import Device
from quantroof.kernels.block_scales import e2m1_values, e8m0_values, unswizzled
from quantroof.kernels.ceilings.block_scaled import BlockScaledGemm, block_scaled_gemms
from quantroof.kernels.formats import ELEMENTS
from quantroof.kernels.packing import unpack_nibbles
from tests.bench.test_ceilings_cuda import bench

NAMES = ("mxfp8", "mxfp4", "nvfp4")


def _gpu(capability: str) -> Device:
    return Device(kind="sim", index=0, name=capability, compute_capability=capability)


@pytest.mark.parametrize(
    ("capability", "names"), [("8.0", ()), ("9.0", ()), ("10.0", NAMES), ("12.0", NAMES)]
)
def test_they_are_tried_where_the_matrix_units_have_them(capability: str, names: tuple[str, ...]) -> None:
    """None before Blackwell, all three from it on."""
    assert tuple(gemm.element for gemm in block_scaled_gemms(_gpu(capability))) == names


@pytest.mark.parametrize("name", NAMES)
def test_operands_are_normal_values_in_the_types_of_the_recipe(name: str) -> None:
    """Decoded from torch's types they have deviation 1, within the error of the format."""
    element = ELEMENTS[name]
    codes, scales, *whole = BlockScaledGemm(name).operand((160, 320), torch.Generator().manual_seed(3))
    values = e2m1_values(unpack_nibbles(codes.view(torch.uint8))) if element.is_e2m1 else codes.float()
    assert element.block is not None
    steps = unswizzled(scales.view(torch.uint8), 160, 320 // element.block).contiguous()
    step = e8m0_values(steps) if element.scale == "e8m0" else steps.view(torch.float8_e4m3fn).float()
    decoded = values.view(*step.shape, -1) * step[..., None] * (whole[0] if whole else 1.0)
    wanted = torch.randn((160, 320), generator=torch.Generator().manual_seed(3)).view_as(decoded)
    error = torch.linalg.norm(decoded - wanted) / torch.linalg.norm(wanted)
    assert error < (0.15 if element.is_e2m1 else 0.05)


def test_a_torch_without_the_types_costs_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ceiling is skipped with the version of torch, before operands are made."""
    monkeypatch.delattr(torch, "float4_e2m1fn_x2")
    blackwell = replace(bench(), device=_gpu("10.0"))
    (line,) = _library_shapes(blackwell, BlockScaledGemm("mxfp8"), quick=True)
    assert (line.status, line.name) == ("skipped", "mxfp8")
    assert line.reason == f"torch {torch.__version__} lacks the types of block-scaled formats"
