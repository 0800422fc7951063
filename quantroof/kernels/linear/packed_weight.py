"""A weight as the weight-only device code reads it: fragment order, scales, zero points, column order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from quantroof.kernels.cases import Case

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem
    from quantroof.kernels.quantize import Quantized


@dataclass(frozen=True, slots=True)
class Kind:
    """How one weight format is unpacked: the device code's KIND, bits per weight, columns per step."""

    kind: str
    bits: int
    step: int
    scale_type: str

    @property
    def grouped(self) -> bool:
        """Whether scales change along K."""
        return self.bits == 4


def kind_of(case: Case) -> Kind:
    """How the weight of a case is unpacked."""
    fmt = case.weight
    name = "int4_zeros" if fmt.zero_point else {"fp8_e4m3": "fp8"}.get(fmt.element.name, fmt.element.name)
    if fmt.element.bits == 8:
        return Kind(name, 8, 128, "*fp32")
    if fmt.element.is_e2m1:
        return Kind("fp4", 4, 128, "*bf16")
    return Kind(name, 4, 128, "*fp32" if name == "nf4" else "*bf16")


def packed_weight(problem: Problem, *, wide: bool) -> tuple[torch.Tensor, ...]:
    """(packed weights, scales, zero points, column order); absent parts are empty tensors."""
    import torch

    from quantroof.kernels.linear.device.fp4_bits import scatter_bits
    from quantroof.kernels.linear.device.fragments import pack_4bit, pack_8bit
    from quantroof.kernels.linear.device.nf4_bits import EXPONENT, NIBBLES, UNIT
    from quantroof.kernels.packing import pack_nibbles

    weight, kind = problem.weight, kind_of(problem.case)
    zeros = torch.empty(0, dtype=torch.int32, device=weight.codes.device)
    order = torch.empty(0, dtype=torch.int32, device=weight.codes.device)
    if kind.bits == 8:
        return pack_8bit(weight.codes, wide=wide), weight.scale.flatten().contiguous(), zeros, order
    group = problem.case.weight.group or problem.case.k
    if kind.kind == "fp4":
        packed = scatter_bits(pack_4bit(weight.codes, wide=wide))
        scales, factor = _relative_scales(weight, 126)
        return packed, _packed_scales(scales, kind, group), factor.view(torch.int32), order
    if kind.kind == "nf4":
        nibbles = torch.tensor(NIBBLES, dtype=torch.uint8, device=weight.codes.device)[weight.codes.long()]
        scales, factor = _relative_scales(weight, -EXPONENT, UNIT)
        packed = pack_4bit(nibbles, wide=wide, pairs=True)
        return packed, _packed_scales(scales, kind, group), factor.view(torch.int32), order
    codes = weight.codes if kind.kind != "int4" else weight.codes + 8
    if weight.order is not None:
        codes, order = codes[:, weight.order], weight.order.to(torch.int32)
    if weight.zeros is not None:
        zeros = pack_nibbles(weight.zeros.T.contiguous()).view(torch.int32)
    return (
        pack_4bit(codes, wide=wide),
        _packed_scales(weight.scale, kind, group),
        zeros,
        order,
    )


def _relative_scales(weight: Quantized, power: int, unit: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    """(scales x unit x 2^power over the next power of two above the largest, that one as fp32 factor [1]).

    Exact where the unit is 1, if not subnormal. The factor is of the whole weight, its tensor scale included.
    """
    import torch

    scale = weight.scale.double() * unit
    _, exponent = torch.frexp(scale.max())
    whole = weight.tensor_scale if weight.tensor_scale is not None else torch.ones_like(weight.scale[:1, 0])
    relative = torch.ldexp(scale, power - exponent)
    return relative.float(), torch.ldexp(whole, exponent)


def _packed_scales(scales: torch.Tensor, kind: Kind, group: int) -> torch.Tensor:
    """Scales [N, K / group] as the device code's scales_of reads them."""
    by_group = scales.T.contiguous()
    if kind.scale_type == "*fp32":
        return by_group
    if group < kind.step:
        groups, n = by_group.shape
        by_group = by_group.view(groups // 2, 2, n).transpose(1, 2).contiguous()
    return by_group.bfloat16()
