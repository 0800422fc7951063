"""bitsandbytes: NF4 products, and LLM.int8() with its mixed decomposition. Available where installed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared, Skip
from quantroof.kernels.requirements import needs_package

if TYPE_CHECKING:
    import torch

    from quantroof.kernels.problem import Problem

needs_package("bitsandbytes")

_BLOCKS = (32, 64, 128, 256, 512, 1024, 2048, 4096)  # functional.quantize_4bit
# Activations above this magnitude are multiplied in 16 bits: the value of the LLM.int8() paper (2208.07339).
_OUTLIER = 6.0


def _check_nf4(case: Case, _: Device) -> Skip | None:
    if case.weight.group in _BLOCKS:
        return None
    return Skip(f"bitsandbytes takes NF4 blocks of {_BLOCKS}, not {case.weight.group}")


def _build_nf4(problem: Problem) -> Prepared:
    import torch

    from quantroof.kernels.formats import nf4_levels

    functional = import_module("bitsandbytes.functional")
    products = import_module("bitsandbytes.autograd._functions")

    case, weight, x = problem.case, problem.weight, problem.arriving
    levels = torch.tensor(nf4_levels(), dtype=torch.float32, device=x.device)
    codes = weight.codes.reshape(-1)
    packed = (codes[::2] << 4 | codes[1::2])[:, None].contiguous()  # the first of two in the high nibble

    def call(packed: torch.Tensor, absmax: torch.Tensor) -> torch.Tensor:
        state = functional.QuantState(
            absmax,
            shape=torch.Size((case.n, case.k)),
            code=levels,
            blocksize=case.weight.group,
            quant_type="nf4",
            dtype=torch.bfloat16,
        )
        out: torch.Tensor = products.matmul_4bit(x, packed, state)
        return out

    return Prepared((packed, weight.scale.flatten().contiguous()), call)


def _build_int8(problem: Problem) -> Prepared:
    products = import_module("bitsandbytes.autograd._functions")
    weight, x = problem.weight, problem.arriving  # the library casts to fp16, and its product back
    largest = weight.scale.flatten() * weight.format.element.max_value

    def call(codes: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        state = products.MatmulLtState()
        state.CB, state.SCB = codes, largest
        state.threshold, state.has_fp16_weights, state.is_training = _OUTLIER, False, False
        out: torch.Tensor = products.matmul(x, codes, state=state)
        return out

    # Looking for outliers reads their number back to the host, which a graph cannot hold.
    return Prepared((weight.codes, largest), call, {"threshold": _OUTLIER}, capturable=False)


KERNELS = (
    Kernel(
        "bitsandbytes.nf4",
        "bitsandbytes",
        ("nf4-w4a16",),
        _build_nf4,
        _check_nf4,
        summary="matmul_4bit: its own choice of a fused kernel or dequantization and F.linear",
    ),
    Kernel(
        "bitsandbytes.llm_int8",
        "bitsandbytes",
        ("int8-w8a8",),
        _build_int8,
        targets=("gpu",),
        summary="LLM.int8(): int8 products, columns with outliers in fp16",
    ),
)
