"""The second check: no kernel of ours fails it, and one that returns what it had before always does."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from quantroof.bench.correctness import WrongOutput
from quantroof.bench.fresh import Recheck
from quantroof.bench.timing.cpu import CpuBlocks
from quantroof.bench.timing.rotation import Copies
from quantroof.bench.timing.sampling import StoppingRule, sample
from quantroof.hwprofiles.types import Device
from quantroof.kernels.cases import Case
from quantroof.kernels.kernel import Kernel, Prepared
from quantroof.kernels.problem import Problem
from quantroof.kernels.quantize import quantize
from quantroof.kernels.registry import load
from quantroof.kernels.schemes import OTHER_OPERATIONS, SCHEMES

_ALL = {**SCHEMES, **OTHER_OPERATIONS}
_PAIRS = [
    (scheme, m, kernel)
    for scheme in _ALL
    for m in (1, 5)
    for kernel in load().kernels.values()
    if "cpu" in kernel.targets and scheme in kernel.schemes
]


def _conclude(kernel: Kernel, problem: Problem, *, copies: int = 3) -> None:
    prepared = kernel.build(problem)
    assert isinstance(prepared, Prepared)
    sets = [tuple(t.clone() for t in prepared.weights) for _ in range(copies)]
    before = [[t.clone() for t in weights] for weights in sets]
    timer = CpuBlocks(prepared.call, Copies(sets, 0, short=False), block_ns=1)
    try:
        Recheck(kernel, problem, prepared).conclude(timer)
    finally:
        for weights, kept in zip(sets, before, strict=True):
            for now, then in zip(weights, kept, strict=True):
                assert torch.equal(now.view(torch.uint8), then.view(torch.uint8)), "the set is not restored"


@pytest.mark.parametrize(("scheme", "m", "kernel"), _PAIRS, ids=lambda v: getattr(v, "name", str(v)))
def test_our_kernels_compute_what_they_are_given(cpu: Device, scheme: str, m: int, kernel: Kernel) -> None:
    """Operands written into a set of the rotation reach the output of every CPU kernel in every format."""
    case = Case.linear(_ALL[scheme], m, 256, 512)
    if kernel.check(case, cpu) is not None or case.operation not in kernel.operations:
        pytest.skip("not for this case")
    _conclude(kernel, Problem(case, cpu))


@pytest.mark.parametrize("scheme", _ALL)
@pytest.mark.parametrize("honest", [True, False], ids=["honest", "stale"])
def test_every_format_has_changed_operands(cpu: Device, scheme: str, *, honest: bool) -> None:
    """Products of the dequantized operands pass in every format; the first product again is refused."""
    case = Case.linear(_ALL[scheme], 4, 256, 512)
    _conclude_or_refuse(_dequantizing(scheme, honest=honest), Problem(case, cpu), honest=honest)


def _conclude_or_refuse(kernel: Kernel, problem: Problem, *, honest: bool) -> None:
    if honest:
        _conclude(kernel, problem)
        return
    with pytest.raises(WrongOutput, match="changed between timed calls"):
        _conclude(kernel, problem)


def _dequantizing(scheme: str, *, honest: bool) -> Kernel:
    """A kernel that any format can have: its weight is the dequantized operand."""

    def build(problem: Problem) -> Prepared:
        case, kept = problem.case, dict[str, torch.Tensor]()
        dtype = torch.float32 if case.output.element.name == "fp32" else torch.bfloat16
        operand = problem.arriving if case.operation == "act_quant" else problem.weight.dequantized()
        x = problem.activation.dequantized() if case.operation in ("gemm", "gemv") else None

        def call(w: torch.Tensor) -> torch.Tensor:
            if honest or "y" not in kept:
                kept["y"] = _product(case, x, w, dtype)
            return kept["y"]

        values: dict[str, Any] = (
            {"values": lambda y: quantize(y.float(), case.output).dequantized()}
            if case.operation == "act_quant"
            else {}
        )
        return Prepared((operand,), call, **values)

    return Kernel("any", "test", (scheme,), build)


@pytest.mark.parametrize("block_s", [0.099, 0.101])
@pytest.mark.parametrize("honest", [True, False], ids=["honest", "stale"])
def test_the_first_sample_of_a_slow_call_is_the_check(cpu: Device, block_s: float, *, honest: bool) -> None:
    """From 0.1 s on a call is timed and checked at once, below it is checked after the samples: either way
    the kernel is called once more than it is sampled at most, and a stale output is refused."""
    calls: list[int] = []
    problem = Problem(Case.linear(SCHEMES["fp32"], 4, 256, 512), cpu)
    kernel = _dequantizing("fp32", honest=honest)
    prepared = kernel.build(problem)
    assert isinstance(prepared, Prepared)

    def call(*weights: torch.Tensor) -> Any:
        calls.append(1)
        return prepared.call(*weights)

    timer = CpuBlocks(call, Copies([tuple(t.clone() for t in prepared.weights)], 0, short=False), block_ns=1)
    timer.batch_s = block_s
    calls.clear()
    recheck = Recheck(kernel, problem, prepared)
    rule = StoppingRule(None, 1, 1, 10.0)

    def measured() -> None:
        recheck.prepare(timer, 10.0)
        samples, _ = sample(timer, rule, after_sample=recheck.after_sample)
        recheck.conclude(timer)
        assert len(samples) == 1

    if honest:
        measured()
        assert len(calls) == (1 if block_s >= 0.1 else 2)
        return
    with pytest.raises(WrongOutput, match="changed between timed calls"):
        measured()


def _product(case: Case, x: torch.Tensor | None, w: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    if case.operation == "act_quant":
        return w.clone()
    if x is None:
        return w.to(dtype)
    return (x @ w.T).to(torch.float16 if case.output.element.name == "fp16" else dtype)
