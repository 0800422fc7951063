"""Decode attention in Triton: the cache split along its tokens, caches of 8 and 4 bits unpacked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from quantroof.hwprofiles.types import Device
from quantroof.kernels.architectures import AMD, NVIDIA
from quantroof.kernels.attention.case import AttentionCase
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.program import MachineCode, Program, Target
from quantroof.kernels.requirements import needs_capability

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

_WIDTHS = (64, 128, 256)
_BLOCK = 64  # tokens per step
_MOST_PARTS = 64
_LEAST_ROWS = 16  # what a matrix instruction takes
_POINTERS = {"bf16": "*bf16", "fp8_e4m3": "*fp8e4nv", "int8": "*i8", "nvfp4": "*u8"}
_SCALED = {"bf16": "none", "fp8_e4m3": "tensor", "int8": "token", "nvfp4": "block"}


def _check(case: Case, device: Device) -> Skip | None:
    assert isinstance(case, AttentionCase)
    shape, fp8 = case.shape, case.weight.element.name == "fp8_e4m3"
    if shape.latent or shape.head_dim not in _WIDTHS:
        return Skip(f"triton's attention takes heads of 64, 128 or 256 columns, not {shape.head_dim}")
    return needs_capability(
        device, (8, 9) if fp8 else (8, 0), "conversions of e4m3" if fp8 else "bf16 kernels"
    )


def _rows(case: AttentionCase) -> int:
    """Query heads of one KV head, padded to what a matrix instruction takes."""
    heads = case.shape.heads // case.shape.kv_heads
    return max(_LEAST_ROWS, 1 << (heads - 1).bit_length())


def _parts(case: AttentionCase, target: Target) -> tuple[int, int]:
    """(parts, tokens per part): two programs per multiprocessor, whole blocks, at least two of them."""
    pairs = case.m * case.shape.kv_heads
    wanted = min(_MOST_PARTS, max(1, 2 * target.sm_count // pairs))
    blocks = -(-case.context // _BLOCK)
    per_part = max(2, -(-blocks // wanted)) * _BLOCK
    return -(-case.context // per_part), per_part


def program(case: Case, target: Target) -> Program:
    """The device code that attends to a part of the cache."""
    from quantroof.kernels.attention.device.decode import attend_part

    assert isinstance(case, AttentionCase)
    parts, per_part = _parts(case, target)
    element = case.weight.element.name
    return Program(
        function=attend_part,
        grid=(case.m * case.shape.kv_heads, parts, 1),
        arguments=(
            *("*bf16", _POINTERS[element], "*u8" if element == "nvfp4" else "*fp32", "*fp32", "*fp32"),
            *("i32", "i32", "fp32"),
        ),
        constants={
            "HEADS": case.shape.heads // case.shape.kv_heads,
            "ROWS": _rows(case),
            "D": case.shape.head_dim,
            "BC": _BLOCK,
            "PER_PART": per_part,
            "SCALED": _SCALED[element],
        },
        # AMD's compiler spills with 4 warps where a cache is unpacked from 4 bits, NVIDIA's with 8.
        num_warps=8 if element == "nvfp4" and target.device in AMD else 4,
        num_stages=3,
    )


def merge_program(case: Case) -> Program:
    """The device code that merges the parts."""
    from quantroof.kernels.attention.device.decode import merge_parts

    assert isinstance(case, AttentionCase)
    heads = case.shape.heads // case.shape.kv_heads
    return Program(
        function=merge_parts,
        grid=(case.m * case.shape.kv_heads, 1, 1),
        arguments=("*fp32", "*fp32", "*bf16", "i32"),
        constants={"HEADS": heads, "ROWS": _rows(case), "D": case.shape.head_dim},
        num_warps=4,
        num_stages=1,
    )


def _build(problem: Problem) -> Prepared:
    import torch

    case = problem.case
    assert isinstance(case, AttentionCase)
    code = program(case, Target.of(problem.device))
    pairs, parts, _ = code.grid
    merge = merge_program(case)
    q, device = problem.arriving, problem.torch_device
    sums = torch.empty(pairs * parts * _rows(case) * case.shape.head_dim, device=device)
    stats = torch.empty(pairs * parts * _rows(case) * 2, device=device)
    y = torch.full((case.m, case.n), float("nan"), dtype=torch.bfloat16, device=device)
    scale = case.shape.head_dim**-0.5

    def call(cache: Any, scales: Any) -> torch.Tensor:
        code.launch(q, cache, scales, sums, stats, case.context, case.weight_rows // 2, scale)
        merge.launch(sums, stats, y, parts)
        return y

    hot = ("queries", "output", "workspace")
    return Prepared(_packed(problem), call, {**code.config(), "parts": parts}, hot)


def _packed(problem: Problem) -> tuple[torch.Tensor, torch.Tensor]:
    """(cache, scales) as the device code reads them."""
    import torch

    weight = problem.weight
    if weight.format.element.block is not None:
        from quantroof.kernels.dequantize.torch_blocks import packed_blocks

        codes, *scales = packed_blocks(problem)
        return codes, torch.cat([part.contiguous().view(torch.uint8).flatten() for part in scales])
    if weight.scales is None:
        return weight.codes, torch.empty(0, device=problem.torch_device)
    return weight.codes, weight.scales.flatten().contiguous()


_EXPECTS = dict.fromkeys(NVIDIA, "matrix:HMMA") | dict.fromkeys(AMD, "matrix:MFMA_BF16")
_CASES = tuple(
    f"decode_attention/{cache}-bf16-bf16/b8-h32-g8-d128-c4096"
    for cache in ("bf16", "fp8_e4m3.tensor", "int8.token", "nvfp4.g16")
)

KERNELS = (
    Kernel(
        "triton.attention",
        "triton",
        ("bf16-kv", "fp8-kv", "int8-kv", "nvfp4-kv"),
        _build,
        _check,
        operations=("decode_attention",),
        targets=("gpu",),
        summary="the cache split along its tokens, all query heads of a KV head in one program",
        machine_code=MachineCode(
            _CASES, program, _EXPECTS, also=lambda case: (merge_program(case),), not_portable=None
        ),
    ),
)
