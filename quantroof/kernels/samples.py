"""A small case of every scheme that a kernel names, for checks of all kernels. Imports no torch."""

from __future__ import annotations

from quantroof.kernels.attention.case import Attention, AttentionCase
from quantroof.kernels.cases import Case
from quantroof.kernels.experts.case import ExpertsCase
from quantroof.kernels.kernel import Kernel
from quantroof.kernels.schemes import scheme

_ATTENTION = Attention(heads=8, kv_heads=2, head_dim=64, v_dim=64)
_CONTEXT = 96
_EXPERTS, _PER_TOKEN = 4, 2


def sample_cases(kernel: Kernel, m: int, n: int, k: int) -> list[Case]:
    """One case per scheme: M rows, tokens or sequences; N x K where the operation has a weight matrix."""
    if "decode_attention" in kernel.operations:
        return [AttentionCase.of(name, _ATTENTION, m, _CONTEXT) for name in kernel.schemes]
    if "grouped_gemm" in kernel.operations:
        layer = (_EXPERTS, _PER_TOKEN, n, k)
        return [ExpertsCase.of(scheme(name), m, layer, "zipf1.0") for name in kernel.schemes]
    return [Case.linear(scheme(name), m, n, k) for name in kernel.schemes]
