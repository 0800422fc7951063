"""Decode attention in torch: scaled_dot_product_attention, over a bf16 cache or one written out first.

torch's attention takes no cache in 8 or 4 bits, so that one is written out in bf16 inside the call. Two
products with a softmax between them are not here: they round the scores to bf16, which costs more than the
format does.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from quantroof.hwprofiles.types import Device
from quantroof.kernels.attention.case import AttentionCase
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_capability

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

    Attend = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # queries, cache -> output


def _check(_: Case, device: Device) -> Skip | None:
    return needs_capability(device, (8, 0), "bf16 kernels") if device.processor == "gpu" else None


def _sdpa(case: AttentionCase) -> Attend:
    import torch

    from quantroof.kernels.attention.reference import keys_and_values

    shape = case.shape

    def attend(queries: torch.Tensor, cache: torch.Tensor) -> torch.Tensor:
        keys, values = keys_and_values(case, cache)
        q = queries.view(case.m, shape.heads, 1, shape.head_dim)
        y = torch.nn.functional.scaled_dot_product_attention(q, keys, values, enable_gqa=True)
        return y.reshape(case.m, case.n)

    return attend


def _build(problem: Problem) -> Prepared:
    case, queries = problem.case, problem.arriving
    assert isinstance(case, AttentionCase)
    attend = _sdpa(case)
    return Prepared((problem.weight.codes,), lambda cache: attend(queries, cache), hot=("queries", "output"))


def _build_unpacked(problem: Problem) -> Prepared:
    case, queries = problem.case, problem.arriving
    assert isinstance(case, AttentionCase)
    attend = _sdpa(case)

    def call(codes: Any, scales: Any) -> torch.Tensor:
        return attend(queries, (codes.float() * scales).bfloat16())

    hot = ("queries", "output", "dequantized cache")
    return Prepared((problem.weight.codes, problem.weight.scale), call, hot=hot)


def _build_blocks(problem: Problem) -> Prepared:
    from quantroof.kernels.dequantize.torch_blocks import block_dequantizer, packed_blocks

    case, queries = problem.case, problem.arriving
    assert isinstance(case, AttentionCase)
    attend, written_out = _sdpa(case), block_dequantizer(problem)

    def call(*packed: Any) -> torch.Tensor:
        return attend(queries, written_out(*packed))

    return Prepared(packed_blocks(problem), call, hot=("queries", "output", "dequantized cache"))


_kernel = partial(Kernel, provider="torch", check=_check, operations=("decode_attention",))

KERNELS = (
    _kernel(
        name="torch.sdpa",
        schemes=("bf16-kv",),
        build=_build,
        summary="scaled_dot_product_attention, query heads share KV heads",
    ),
    _kernel(
        name="torch.dequant+sdpa",
        schemes=("fp8-kv", "int8-kv", "nvfp4-kv"),
        build=lambda problem: (
            _build_blocks(problem)
            if problem.case.weight.element.block is not None
            else _build_unpacked(problem)
        ),
        summary="cache written out in bf16, then scaled_dot_product_attention",
    ),
)
